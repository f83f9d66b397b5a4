"""Files, folders and globs to the pictures that they stand for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from edgeai.errors import PictureError
from edgeai.finding import Sought, find_files
from edgeai.vision.sniff import is_picture

_PICTURES = Sought("picture", ".jpg, .png, .webp", is_picture, PictureError)


def find_pictures(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Path | PictureError]:
    """The pictures that paths stand for; see `edgeai.finding.find_files`."""
    return find_files(paths, _PICTURES)
