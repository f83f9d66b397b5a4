"""What several tests of quantize share."""

from pathlib import Path

import pytest

from tests.quantize.smollm2 import SMOLLM2_FOLDER, smollm2_checkpoint


@pytest.fixture(scope="session")
def smollm2_folder(real_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2-135M-Instruct as a Hugging Face folder, of the default model's weights. Read it, do not write into it."""
    return smollm2_checkpoint(real_model, tmp_path_factory.mktemp("smollm2") / SMOLLM2_FOLDER)
