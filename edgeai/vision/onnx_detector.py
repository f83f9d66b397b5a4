"""Find things in a picture with an open-vocabulary detector: an ONNX folder, without a language model.

The folder is a stranger's, and all of it is read in a sandboxed process; see `edgeai.vision.detector_model`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from edgeai.errors import EngineCrashedError, ModelError, ModelFormatError, ModelNotFoundError, OptionError
from edgeai.machine import usable_cores
from edgeai.safe_text import one_line
from edgeai.vision.detect import checked_labels
from edgeai.vision.detector_files import NETWORKS
from edgeai.vision.grounding import Detection
from edgeai.vision.picture import LoadedPicture, load_picture

if TYPE_CHECKING:
    from edgeai.engine.link import Link
    from edgeai.sandbox import Policy
    from edgeai.vision.detector_child import Find, Load, Reply
    from edgeai.vision.picture import PictureLike

_START = "import sys; sys.path[:] = sys.argv[2:]; from edgeai.vision.detector_child import main; main(int(sys.argv[1]))"
_MEMORY_BYTES = 12 * 2**30  # address space: Grounding DINO takes 6 GB for a picture of 800 x 1333
_MEMORY_A_BYTE = 4  # of the network's file
_LOAD_S, _FIND_S = 300.0, 600.0
_MAX_WORDS = 600


def detect_with(
    folder: str | os.PathLike[str],
    image: PictureLike | LoadedPicture,
    labels: Sequence[str],
    threshold: float | None = None,
) -> list[Detection]:
    """Where things are in a picture, surest first, with their scores.

    Args:
        folder: of OWL-ViT, OWLv2 or Grounding DINO as Optimum or transformers.js export it: model.onnx, config.json,
            preprocessor_config.json, tokenizer.json.
        image: a picture file, its bytes, one of Pillow's images, or a picture that was loaded.
        labels: what to look for, in the language that the detector knows.
        threshold: the least score, 0..1; None: 0.1, and 0.25 of Grounding DINO.
    Raises:
        PictureError: the picture cannot be read.
        OptionError: labels or a threshold that make no sense, or the extra `quantize` is not installed.
        ModelNotFoundError: there is no such folder.
        ModelFormatError: it holds no detector that can be run.
    """
    labels = checked_labels(labels)
    if threshold is not None and not 0 <= threshold <= 1:
        raise OptionError(f"threshold = {threshold!r:.40}: expected a score from 0 to 1")
    picture = image if isinstance(image, LoadedPicture) else load_picture(image)
    with OnnxDetector(folder) as detector:
        return detector.detect(picture, labels, threshold)


class OnnxDetector:
    """A detector in a process of its own, for one picture after the other. After an error it has to be closed."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Load it; see `detect_with`."""
        if find_spec("tokenizers") is None:
            raise OptionError('a detector needs tokenizers, which is not installed: pip install "edgeai[quantize]"')
        self._path = Path(folder).absolute()
        if not self._path.is_dir():
            raise ModelNotFoundError(f"{self._shown}: no such folder: expected one with a detector's model.onnx")
        self._link = self._started()
        try:
            with self._link.watched():
                self._load()
        except BaseException:
            self.close()
            raise

    def detect(self, picture: LoadedPicture, labels: Sequence[str], threshold: float | None = None) -> list[Detection]:
        """See `detect_with`."""
        from edgeai.vision.detector_child import Find, Found

        medium = picture.medium
        words = [label.encode("utf-8", "replace") for label in labels]
        with self._link.watched():
            request = Find(medium.data, medium.width, medium.height, words, threshold)
            reply = self._asked(request, _FIND_S, "looking for things")
            if not isinstance(reply, Found) or any(not 0 <= number < len(labels) for number, _, _ in reply.boxes):
                raise self._format_error("it answers out of turn")
        sides = (picture.width, picture.height, picture.width, picture.height)
        found = []
        for number, (left, top, right, bottom), score in reply.boxes:
            box = (left * sides[0], top * sides[1], right * sides[2], bottom * sides[3])
            found.append(Detection(labels[number], box, score))
        return found

    def close(self) -> None:
        """End the process. May be called twice."""
        self._link.close()

    def __enter__(self) -> OnnxDetector:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def _shown(self) -> str:
        return one_line(os.fspath(self._path))

    def _started(self) -> Link[Reply]:
        from edgeai.engine.link import Link
        from edgeai.engine.process import ChildProcess
        from edgeai.engine.watchdog import Pace
        from edgeai.vision.detector_child import Reply

        try:
            process: ChildProcess[Reply] = ChildProcess(Reply, _START)
        except ModelError as exc:
            why = exc.__cause__ or "this program has no Python of its own"
            raise ModelError(
                f"{self._shown}: no process can be started to run it in ({why}): close other programs, or run edgeai "
                "from an ordinary Python"
            ) from exc
        return Link(process, Pace(0, _LOAD_S))

    def _load(self) -> None:
        from edgeai.vision.detector_child import Load, Loaded

        files = list(_files(self._path))
        request = Load(os.fsencode(self._path), usable_cores(), _policy(files))
        if not isinstance(self._asked(request, _LOAD_S, "loading a detector"), Loaded):
            raise self._format_error("it answers out of turn")

    def _asked(self, request: Load | Find, limit_s: float, doing: str) -> Reply:
        from edgeai.vision.detector_child import Refused

        try:
            self._link.send(request, doing)
            reply = self._link.receive(limit_s, doing)
        except EngineCrashedError as exc:
            raise self._format_error(
                f"the process that runs it {exc.end}: expected a detector within the limits of time and memory; export "
                "it again, or take a smaller one"
            ) from exc
        if isinstance(reply, Refused):
            if reply.is_asked:
                raise OptionError(one_line(reply.words)[:_MAX_WORDS])
            raise self._format_error(reply.words)
        return reply

    def _format_error(self, words: str) -> ModelFormatError:
        return ModelFormatError(f"{self._shown}: {one_line(words)[:_MAX_WORDS]}")


def _files(folder: Path) -> Iterator[Path]:
    """What the process may read of a folder, without links; weights may lie in a file of their own."""
    names = ["config.json", "preprocessor_config.json", "tokenizer.json"]
    names += [f"{network}{ending}" for network in NETWORKS for ending in ("", "_data", ".data")]
    for path in (folder / name for name in names):
        if path.is_file():
            yield path.resolve()


def _policy(files: Sequence[Path]) -> Policy:
    from edgeai.sandbox import Policy

    n_bytes = sum(path.stat().st_size for path in files)
    return Policy(readable=tuple(map(str, files)), memory_bytes=_MEMORY_BYTES + _MEMORY_A_BYTE * n_bytes)
