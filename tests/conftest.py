from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeai.paths import models_dir
from edgeai.session import Session

DEFAULT_MODEL = "smollm2-135m-instruct"
REAL_MODELS = models_dir()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user folder of its own for every test."""
    folder = tmp_path / "home"
    monkeypatch.setenv("EDGEAI_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def real_model() -> Path:
    """The default model's file, which `make setup` pulled."""
    found = list((REAL_MODELS / DEFAULT_MODEL).glob("*.gguf"))
    if not found:
        pytest.fail(f"the default model is not installed: run `edgeai models pull {DEFAULT_MODEL}`")
    return found[0]


@pytest.fixture(scope="module")
def real_session(real_model: Path) -> Iterator[Session]:
    """A session on the real model, shared by a module's tests; each resets it."""
    with Session(real_model, n_ctx=2048) as session:
        yield session
