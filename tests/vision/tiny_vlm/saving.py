"""Write the tiny model as a Hugging Face folder, as transformers saves it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from transformers import Gemma3Processor
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

from .batches import N_CELLS
from .pictures import SIDE


def save(model: Any, tokenizer: Any, vocabulary_path: Path, folder: Path) -> None:
    """Weights in f32, configuration, tokenizer in both forms, processor and chat template.

    Args:
        vocabulary_path: the `tokenizer.model` that the tokenizer was made of.
    """
    shutil.rmtree(folder, ignore_errors=True)
    model.generation_config.do_sample = False
    model.save_pretrained(folder)
    pictures = Gemma3ImageProcessorPil(size={"height": SIDE, "width": SIDE}, image_seq_length=N_CELLS)
    processor = Gemma3Processor(
        image_processor=pictures, tokenizer=tokenizer, image_seq_length=N_CELLS, chat_template=tokenizer.chat_template
    )
    processor.save_pretrained(folder)
    pictures.save_pretrained(folder)
    shutil.copy(vocabulary_path, folder / "tokenizer.model")
