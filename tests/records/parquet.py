"""pyarrow for tests, which are skipped without it."""

from __future__ import annotations

from typing import Any

import pytest


def arrow() -> Any:
    """The module, with its Parquet."""
    pytest.importorskip("pyarrow.parquet")
    return pytest.importorskip("pyarrow")
