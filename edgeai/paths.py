"""Where edgeai keeps things: models and conversations in the user's data folder, the rest in the cache folder."""

from __future__ import annotations

import os
from pathlib import Path


def data_dir() -> Path:
    """Models and conversations. `EDGEAI_HOME` moves everything below one folder."""
    if home := os.environ.get("EDGEAI_HOME"):
        return Path(home)
    import platformdirs

    return Path(platformdirs.user_data_dir("edgeai", appauthor=False))


def models_dir() -> Path:
    """One folder a model."""
    return data_dir() / "models"


def history_path() -> Path:
    """The conversations, in one SQLite file."""
    return data_dir() / "history.db"


def recordings_dir() -> Path:
    """What was said and could not be transcribed."""
    return data_dir() / "recordings"


def config_path() -> Path:
    """The user's defaults (model, theme), in one TOML file."""
    return data_dir() / "config.toml"


def cache_dir() -> Path:
    """What can be thrown away and made again."""
    if home := os.environ.get("EDGEAI_HOME"):
        return Path(home) / "cache"
    import platformdirs

    return Path(platformdirs.user_cache_dir("edgeai", appauthor=False))
