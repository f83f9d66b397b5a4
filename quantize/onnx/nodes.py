"""The nodes and initializers of a graph, collected one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

from quantize.onnx.plan import Array

DATA_FILE = "model.onnx.data"
MICROSOFT = "com.microsoft"
_TYPES = {"<f4": TensorProto.FLOAT, "u1": TensorProto.UINT8}


class Nodes:
    """Nodes in the order of computing, and what they take that is constant."""

    def __init__(self) -> None:
        """Empty."""
        self.nodes: list[NodeProto] = []
        self.initializers: dict[str, TensorProto] = {}

    def add(self, op: str, name: str, inputs: Sequence[str], *, domain: str = "", **attributes: Any) -> str:
        """A node of one output, whose name is returned. Inputs that are left out are empty."""
        return self.add_many(op, name, inputs, [f"{name}.out"], domain=domain, **attributes)[0]

    def add_many(
        self, op: str, name: str, inputs: Sequence[str], outputs: list[str], *, domain: str = "", **attributes: Any
    ) -> list[str]:
        """A node of several outputs."""
        given = list(inputs)
        while given and not given[-1]:
            given.pop()
        self.nodes.append(helper.make_node(op, given, outputs, name=name, domain=domain, **attributes))
        return outputs

    def constant(self, name: str, values: NDArray[Any] | Sequence[int] | int | float) -> str:
        """A small array that stands in the graph itself; whole numbers are int64, others float32."""
        array = np.asarray(values)
        array = array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
        self.initializers.setdefault(name, numpy_helper.from_array(array, name))
        return name

    def stored(self, array: Array, name: str | None = None, shape: Sequence[int] = ()) -> str:
        """An array of model.onnx.data, perhaps under another name and in another shape."""
        tensor = TensorProto(name=name or array.name, data_type=_TYPES[array.dtype], dims=shape or array.shape)
        tensor.raw_data = b""  # without it the next call refuses
        set_external_data(tensor, DATA_FILE, array.offset, array.n_bytes)
        tensor.ClearField("raw_data")
        self.initializers.setdefault(tensor.name, tensor)
        return tensor.name
