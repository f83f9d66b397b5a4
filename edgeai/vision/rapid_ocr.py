"""RapidOCR: PP-OCR's networks for finding and recognising lines, on onnxruntime.

Its models come inside the package (Apache-2.0). Given by their paths, none is looked for, checked or fetched elsewhere.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeai.errors import PictureError
from edgeai.machine import usable_cores
from edgeai.vision.ocr import not_installed
from edgeai.vision.picture_text import Box, TextLine
from edgeai.vision.reading_order import is_tall
from edgeai.vision.text_boxes import SIDE, text_boxes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MODELS = {"Det": "PP-OCRv6_det_small.onnx", "Rec": "PP-OCRv6_rec_small.onnx"}
_BATCH = 2
"""Lines that are recognised at once. 6, as RapidOCR's own, take 1,020 MB instead of 590 and no less time."""
_DOUBTFUL = 0.85
"""Score under which a line may stand on its head; it is then tried the other way round. RapidOCR asks a third network,
which turns upright lines too: 2 of 6 English ones of 110 characters."""


class RapidReader:
    """PP-OCRv6 small: Chinese, Japanese, English and other languages in Latin letters, printed or written."""

    def __init__(self) -> None:
        """Load it.

        Raises:
            OptionError: the extra `ocr` is not installed, or cannot be loaded.
        """
        try:
            import rapidocr
            from rapidocr.main import RapidOCRError
        except ImportError as exc:
            raise not_installed(str(exc)) from exc
        folder = Path(rapidocr.__file__).parent / "models"
        if missing := [name for name in _MODELS.values() if not (folder / name).is_file()]:
            raise not_installed(f"its package lacks {missing[0]}")
        self._nothing_found = RapidOCRError
        self._engine: Any = rapidocr.RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.width_height_ratio": -1,  # it would make a wide strip as high as an eighth of its width
                "Rec.rec_batch_num": _BATCH,
                "Det.limit_type": "max",
                "Det.limit_side_len": SIDE,
                "EngineConfig.onnxruntime.intra_op_num_threads": min(usable_cores(), os.cpu_count() or 1),
                **{f"{part}.model_path": str(folder / name) for part, name in _MODELS.items()},
            }
        )

    def read(self, pixels: NDArray[np.uint8]) -> tuple[list[TextLine], bool]:
        """See `edgeai.vision.ocr.TextReader`."""
        import numpy as np

        image = np.ascontiguousarray(pixels[:, :, ::-1])  # BGR
        try:
            boxes = text_boxes(image, self._find)
            crops = self._engine.crop_text_regions(image, boxes)
            texts = self._recognized(crops)
            turned = self._turned(texts, crops)
        except Exception as exc:
            raise PictureError(
                f"a picture of {image.shape[1]:,} x {image.shape[0]:,} pixels: the recognition of its text failed "
                f"({type(exc).__name__}: {str(exc)[:200]}): give another, or a part of it"
            ) from exc
        lines = [
            TextLine(text, _box(corners), min(max(score, 0.0), 1.0))
            for (text, score), corners in zip(texts, boxes.tolist(), strict=True)
        ]
        return lines, _is_flipped(lines, turned)

    def _find(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        import numpy as np

        record: dict[str, Any] = {}
        try:
            _, found = self._engine.detect_and_crop(image, record)
        except self._nothing_found:
            return np.zeros((0, 4, 2), np.float32)
        height, width = image.shape[:2]
        padding = record["padding_1"]
        boxes = np.asarray(found.boxes, np.float32) - np.array([padding["left"], padding["top"]], np.float32)
        return np.clip(boxes, 0, np.array([width, height], np.float32))

    def _recognized(self, crops: list[NDArray[np.uint8]]) -> list[tuple[str, float]]:
        if not crops:
            return []
        found = self._engine.recognize_txt(crops)
        return [(text, float(score)) for text, score in zip(found.txts, found.scores, strict=True)]

    def _turned(self, texts: list[tuple[str, float]], crops: list[NDArray[np.uint8]]) -> set[int]:
        """Try doubtful lines the other way round, and take what is likelier; the numbers of those that are."""
        doubtful = [number for number, (_, score) in enumerate(texts) if score < _DOUBTFUL]
        tried = self._recognized([crops[number][::-1, ::-1].copy() for number in doubtful])
        turned = set()
        for number, (text, score) in zip(doubtful, tried, strict=True):
            if score > texts[number][1]:
                texts[number] = (text, score)
                turned.add(number)
        return turned


def _box(corners: list[list[float]]) -> Box:
    first, second, third, fourth = ((float(x), float(y)) for x, y in corners)
    return first, second, third, fourth


def _is_flipped(lines: list[TextLine], turned: set[int]) -> bool:
    """Whether most of the text was turned, of the lines that lie as most do."""
    n_down = sum(len(line.text) * (1 if is_tall(line) else -1) for line in lines)
    main = [(number, len(line.text)) for number, line in enumerate(lines) if is_tall(line) == (n_down > 0)]
    return sum(n_chars * (1 if number in turned else -1) for number, n_chars in main) > 0
