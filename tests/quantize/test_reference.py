"""The model as it was, for a while: which type it gets, and room for it beside the artifact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeai.errors import CheckpointError, QuantizeError
from quantize import writer
from quantize.base import Tensor
from quantize.pipeline import Model, Options, artifact_bytes, open_model, quantize_model
from quantize.reference import check_room_beside_reference, reference_file
from tests.quantize.float_files import contents, float_file
from tests.quantize.tiny_checkpoints import case_checkpoint
from tests.quantize.tiny_weights import F32


def with_value(model: Model, value: float) -> Model:
    """The same model, whose last matrix holds this number."""
    index = max(place for place, tensor in enumerate(model.tensors) if len(tensor.shape) == 2)
    tensor = model.tensors[index]

    def read() -> F32:
        values: F32 = tensor.read().copy()
        values[-1, -1] = value
        return values

    changed = Tensor(tensor.name, tensor.shape, "F32", read)
    return Model(model.metadata, [*model.tensors[:index], changed, *model.tensors[index + 1 :]])


@pytest.mark.parametrize(("value", "ftype"), [(65504.0, "F16"), (-65519.0, "F16"), (65520.0, "BF16"), (-3e38, "BF16")])
def test_the_type_is_one_that_holds_the_weights(value: float, ftype: str, tmp_path: Path) -> None:
    model = open_model(float_file(tmp_path, "llama"))
    with np.errstate(over="ignore"):
        assert bool(np.isfinite(np.float32(value).astype(np.float16))) == (ftype == "F16")
    made = reference_file(with_value(model, value), tmp_path / "reference.gguf", Options())
    assert made.ftype == ftype
    assert {qtype for _, _, qtype, _ in contents(made.path)} == {ftype, "F32"}
    assert [path.name for path in tmp_path.glob("*reference*")] == ["reference.gguf"]


def test_what_no_type_holds_is_an_error(tmp_path: Path) -> None:
    model = with_value(open_model(float_file(tmp_path, "llama")), np.nan)
    with pytest.raises(CheckpointError, match="it holds NaN or infinity"):
        reference_file(model, tmp_path / "reference.gguf", Options())
    assert not (tmp_path / "reference.gguf").exists()


@pytest.mark.parametrize("ftype", ["Q4_K_M", "Q8_0", "F32"])
def test_sizes_are_those_of_the_files(ftype: str, tmp_path: Path) -> None:
    model = open_model(case_checkpoint(tmp_path, "llama"))
    made = quantize_model(model, tmp_path / "a.gguf", Options(ftype=ftype))
    assert artifact_bytes(model, Options(ftype=ftype)) == made.path.stat().st_size


@pytest.mark.parametrize("will_calibrate", [False, True])
def test_room_is_looked_for_for_both_files_at_once(
    will_calibrate: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = open_model(case_checkpoint(tmp_path, "llama"))
    sizes = [
        quantize_model(model, tmp_path / f"{name}.gguf", Options(ftype=name)).size_bytes for name in ("F16", "Q8_0")
    ]
    needed = sum(sizes) + writer._HEADROOM_BYTES
    monkeypatch.setattr(writer, "free_bytes", lambda _folder: needed + will_calibrate * 2**20)
    check_room_beside_reference(model, tmp_path / "a.gguf", sizes[1], will_calibrate=will_calibrate)
    monkeypatch.setattr(writer, "free_bytes", lambda _folder: needed - 1 + will_calibrate)
    with pytest.raises(QuantizeError, match=f"{needed - 1 + will_calibrate:,} are free on the disk"):
        check_room_beside_reference(model, tmp_path / "a.gguf", sizes[1], will_calibrate=will_calibrate)
