"""Sizes as people write them: 2GB, 500MB, 1.5GiB."""

from __future__ import annotations

import re

from edgeai.errors import OptionError

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?) ?([kmgt]i?)?b?", re.IGNORECASE | re.ASCII)


def parse_size(text: str) -> int:
    """Bytes; decimal units, and binary ones with an i.

    Raises:
        OptionError: it is no size.
    """
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise OptionError(f"{text[:40]!r}: expected a size, such as 2GB or 500MB")
    return int(float(found[1]) * _UNITS[(found[2] or "").lower()])
