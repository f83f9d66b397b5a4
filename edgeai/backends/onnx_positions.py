"""A graph that gives the last token's logits alone, changed in memory so that it can be asked for those of more.

What `quantize` writes takes the last token by Slice operators that all begin at one constant, -1. Made an input with
that value as its default, the graph is as before until another number is given.

Source: onnx's IR.md, on initializers that are inputs too, which may be overridden when a model runs.
"""

from __future__ import annotations

from typing import Any

_SLICES = "last_position"  # their names begin so; see quantize/onnx/graph.py
_MAX_BYTES = 2**26  # a larger graph holds weights, which would be in memory twice


def with_begin(model: Any) -> tuple[bytes, str]:
    """The changed graph, and the input for where logits begin: -1 is the last token, -2 the one before.

    Args:
        model: a ModelProto whose logits are of the last token alone; it is changed.
    Returns:
        Nothing and "", where it cannot be.
    """
    import onnx

    graph = model.graph
    slices = [node for node in graph.node if node.op_type == "Slice" and node.name.startswith(_SLICES)]
    begins = {node.input[1] for node in slices if len(node.input) > 1}
    found = [tensor for tensor in graph.initializer if tensor.name in begins]
    if len(begins) != 1 or len(found) != 1 or model.ByteSize() > _MAX_BYTES:
        return b"", ""
    (begin,) = found
    n_uses = sum(name == begin.name for node in graph.node for name in node.input)
    is_known = any(value.name == begin.name for value in graph.input)
    if n_uses != len(slices) or is_known or begin.external_data or onnx.numpy_helper.to_array(begin).tolist() != [-1]:
        return b"", ""
    graph.input.append(onnx.helper.make_tensor_value_info(begin.name, onnx.TensorProto.INT64, [1]))
    for output in graph.output:
        sides = output.type.tensor_type.shape.dim
        if len(sides) == 3:  # the logits, not K and V
            sides[1].dim_param = "n_logits"
    return model.SerializeToString(), begin.name
