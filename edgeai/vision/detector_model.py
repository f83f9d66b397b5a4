"""Open-vocabulary detectors as ONNX folders: what goes into the network, and what its answers mean.

OWL-ViT (Minderer et al. 2022, arXiv 2205.06230), OWLv2 (2023, arXiv 2306.09683) and Grounding DINO (Liu et al. 2023,
arXiv 2303.05499), in the layout that Optimum and transformers.js export. Sizes, filters, means and the meaning of boxes
are those of the image processors of Hugging Face's transformers; the score of several tokens is their mean, as in
MMDetection. For the sandboxed process: everything in the folder is a stranger's.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeai.errors import ModelFormatError, OptionError
from edgeai.vision.detector_files import layout_of, network_path, tokenizer_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]

MAX_FOUND = 200
"""Of one picture."""

_MAX_BOXES = 100_000
_MAX_CANDIDATES = 2_000
_FAR = 1e9
_OVERLAP = 0.5  # share of the union of two boxes from which they are of the same thing
_N_SPAN = 256  # tokens that Grounding DINO's answers tell of
_TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32}

Found = tuple[int, tuple[float, float, float, float], float]
"""A label's number, its box in 0..1 of the picture (left, top, right, bottom), and how sure the network is, 0..1."""


class DetectorModel:
    """A network, its tokenizer, and how pictures are prepared for it."""

    def __init__(self, folder: Path, n_threads: int) -> None:
        """Load it.

        Raises:
            ModelFormatError: a file of the folder is not what it must be.
        """
        self.layout = layout_of(folder)
        self._tokenizer = tokenizer_of(folder)
        self._session = _session(network_path(folder), n_threads)
        self._inputs = {each.name: _type_of(each) for each in self._session.get_inputs()}
        missing = {"pixel_values", "input_ids"} - self._inputs.keys()
        missing |= {"logits", "pred_boxes"} - {each.name for each in self._session.get_outputs()}
        if missing:
            raise ModelFormatError(
                f"the network has no {', '.join(sorted(missing))}: expected a detector that takes pixel_values and "
                "input_ids, and gives logits and pred_boxes; export it with Optimum"
            )

    def find(self, pixels: NDArray[np.uint8], labels: Sequence[str], threshold: float | None) -> list[Found]:
        """What is found, surest first.

        Args:
            pixels: [height, width, 3], RGB.
            labels: what to look for.
            threshold: the least score; None takes the kind's own.
        Raises:
            ModelFormatError: the network cannot be run, or answers what makes no sense.
            OptionError: more labels than fit.
        """
        prepared = self.layout.prepared(pixels)
        if self.layout.is_joined:
            ids, spans = self._joined(labels)
            mask = np.ones_like(ids)
        else:
            ids, mask = self._queries(labels)
            spans = []
        logits, boxes = self._run(prepared, ids, mask)
        scores = _span_scores(logits, spans) if self.layout.is_joined else _query_scores(logits, len(labels))
        least = self.layout.threshold if threshold is None else threshold
        return _chosen(scores, self.layout.in_picture(boxes, pixels.shape[1], pixels.shape[0]), least)

    def _queries(self, labels: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Each label by itself, cut and filled up; [n_labels, n_tokens]."""
        n_tokens = self.layout.n_text
        ids = np.zeros((len(labels), n_tokens), np.int64)
        mask = np.zeros_like(ids)
        for row, label in enumerate(labels):
            found = self._encoded(label).ids
            if len(found) > n_tokens:
                found = [*found[: n_tokens - 1], found[-1]]  # the last one ends the text
            ids[row, : len(found)], mask[row, : len(found)] = found, 1
        return ids, mask

    def _joined(self, labels: Sequence[str]) -> tuple[NDArray[np.int64], list[list[int]]]:
        """All labels as one text, "a cat. a dog.": [1, n_tokens]; and the places of each label's tokens."""
        text, ranges = "", []
        for label in labels:
            label = " ".join(label.lower().replace(".", " ").split())
            ranges.append((len(text), len(text) + len(label)))
            text += f"{label}. "
        found = self._encoded(text.strip())
        if len(found.ids) > min(self.layout.n_text, _N_SPAN):
            raise OptionError(
                f"labels of {len(found.ids)} tokens together: this detector takes {min(self.layout.n_text, _N_SPAN)}; "
                "look for fewer at once"
            )
        spans = [
            [at for at, (begin, end) in enumerate(found.offsets) if begin < end and begin < last and end > first]
            for first, last in ranges
        ]
        return np.array([found.ids], np.int64), spans

    def _encoded(self, text: str) -> Any:
        try:
            return self._tokenizer.encode(text)
        except Exception as exc:  # tokenizers has no class of errors
            raise ModelFormatError(
                f"tokenizer.json: it cannot read {text!r:.60} ({exc!s:.200}): export it again"
            ) from exc

    def _run(self, prepared: F32, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> tuple[F32, F32]:
        """Logits, [n_boxes, n_queries or n_tokens], and boxes as the network writes them, [n_boxes, 4]."""
        given: dict[str, NDArray[Any]] = {
            "pixel_values": prepared[None],
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(ids),
            "pixel_mask": np.ones((1, *prepared.shape[1:]), np.int64),
        }
        unknown = self._inputs.keys() - given.keys()
        if unknown:
            raise ModelFormatError(f"the network asks for {sorted(unknown)[0]!r:.60}: expected {', '.join(given)}")
        feed = {name: given[name].astype(kind) for name, kind in self._inputs.items()}
        try:
            logits, boxes = self._session.run(["logits", "pred_boxes"], feed)
        except Exception as exc:  # ONNX Runtime's errors have no class in common
            raise ModelFormatError(f"the network cannot be run ({exc!s:.300}): export it again") from exc
        return _checked(np.asarray(logits), np.asarray(boxes))


def _checked(logits: NDArray[Any], boxes: NDArray[Any]) -> tuple[F32, F32]:
    """One picture's answers without what is no number: [n_boxes, n], [n_boxes, 4]."""
    whole = logits.ndim == boxes.ndim == 3 and boxes.shape == (*logits.shape[:2], 4) and logits.dtype == boxes.dtype
    if not whole or logits.dtype.kind != "f" or len(logits) != 1 or not logits.size or boxes.size > 4 * _MAX_BOXES:
        raise ModelFormatError(
            f"the network answers logits of shape {logits.shape} and boxes of {boxes.shape}: expected "
            f"[1, boxes, texts] and [1, boxes, 4] of floats, at most {_MAX_BOXES:,} boxes"
        )
    return _numbers(logits[0]), _numbers(boxes[0])


def _numbers(given: NDArray[Any]) -> F32:
    """The same without NaN and infinities."""
    return np.asarray(np.nan_to_num(given.astype(np.float32), nan=-_FAR, posinf=_FAR, neginf=-_FAR), np.float32)


def _query_scores(logits: F32, n_labels: int) -> F32:
    """[n_boxes, n_labels], 0..1."""
    if logits.shape[1] != n_labels:
        raise ModelFormatError(f"the network answers for {logits.shape[1]} texts: expected {n_labels}, those given")
    return _sigmoid(logits)


def _span_scores(logits: F32, spans: Sequence[Sequence[int]]) -> F32:
    """The mean over each label's tokens; [n_boxes, n_labels], 0..1."""
    if max((at for span in spans for at in span), default=0) >= logits.shape[1]:
        raise ModelFormatError(
            f"the network answers for {logits.shape[1]} tokens: expected one for each that was given"
        )
    scores = _sigmoid(logits)
    means = [scores[:, list(span)].mean(axis=1) if span else np.zeros(len(scores), np.float32) for span in spans]
    return np.stack(means, axis=1)


def _sigmoid(logits: F32) -> F32:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -60, 60))), np.float32)


def _chosen(scores: F32, boxes: F32, threshold: float) -> list[Found]:
    """Of each box its likeliest label; of boxes of a label that overlap, the surest."""
    best = scores.argmax(axis=1)
    score = scores.max(axis=1)
    is_box = (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])
    order = [int(at) for at in np.argsort(-score, kind="stable") if score[at] >= threshold and is_box[at]]
    kept: list[int] = []
    for at in order[:_MAX_CANDIDATES]:
        rivals = [other for other in kept if best[other] == best[at]]
        if not rivals or _overlaps(boxes[at], boxes[rivals]).max() <= _OVERLAP:
            kept.append(at)
        if len(kept) == MAX_FOUND:
            break
    return [(int(best[at]), _edges(boxes[at]), float(score[at])) for at in kept]


def _edges(box: F32) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(edge) for edge in box)
    return left, top, right, bottom


def _overlaps(box: F32, others: F32) -> F32:
    """Intersection over union; [n]."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    common = np.maximum(sides, 0).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1)
    shares: F32 = common / ((box[2:] - box[:2]).prod() + areas - common)
    return shares


def _session(path: Path, n_threads: int) -> Any:
    onnxruntime = import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = n_threads, 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # ONNX Runtime's errors have no class in common
        raise ModelFormatError(f"{path.name}: no network that can be read ({exc!s:.300}): fetch it again") from exc


def _type_of(given: Any) -> Any:
    if given.type not in _TYPES:
        raise ModelFormatError(
            f"the network's input {given.name!r:.60} is of {given.type!r:.40}: expected {list(_TYPES)}"
        )
    return _TYPES[given.type]
