"""The graph of a decoder: an onnx.ModelProto whose weights stand in model.onnx.data.

What goes in: `input_ids` [batch_size, sequence_length], the tokens that are new; `attention_mask` [batch_size,
total_sequence_length], ones for all tokens, those before too; keys and values of those before, `past_key_values.N.key`
and `.value` [batch_size, n_heads_kv, past_sequence_length, head_dim]. Where past and present are one buffer, its length
is that of the buffer. What comes out: `logits` of the last token alone, [batch_size, 1, n_vocab], and `present.N.key`,
`.value`.

The last layer, from its output projection on, and the head are computed for the last token alone. The nodes that take
it have names that begin with LAST_POSITION: where each is replaced by its first input, there are logits for all.

Source of the operators: docs/ContribOperators.md of microsoft/onnxruntime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx
from onnx import GraphProto, ModelProto, TensorProto, helper

from edgeai import __version__
from quantize.onnx.feed import Feed
from quantize.onnx.nodes import MICROSOFT, Nodes
from quantize.onnx.options import OnnxOptions
from quantize.onnx.parts import Decoder, Layer, Linear, Norm
from quantize.onnx.plan import PlannedWeight, attention_inputs

LAST_POSITION = "last_position"
OPSETS = {"": 21, MICROSOFT: 1}
_IR_VERSION = 10
_ACCURACY_LEVEL = 4  # inputs are rounded to 8 bits for the products
_FLOAT, _INT64 = TensorProto.FLOAT, TensorProto.INT64


def model_proto(decoder: Decoder, planned: Sequence[PlannedWeight], options: OnnxOptions) -> ModelProto:
    """The model.

    Args:
        decoder: what it computes.
        planned: its weights, as `quantize.onnx.plan.plan_weights` gives them.
        options: how they are encoded.
    """
    graph = _Builder(decoder, {item.name: item for item in planned}, options).graph()
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
    return helper.make_model(
        graph,
        producer_name="edgeai",
        producer_version=__version__,
        ir_version=_IR_VERSION,
        opset_imports=opsets,
    )


class _Builder:
    """Collects a decoder's nodes."""

    def __init__(self, decoder: Decoder, weights: Mapping[str, PlannedWeight], options: OnnxOptions) -> None:
        self._decoder = decoder
        self._weights = weights
        self._options = options
        self._nodes = Nodes()
        self._feed = Feed(self._nodes, decoder, weights)

    def graph(self) -> GraphProto:
        decoder = self._decoder
        stream, addition = self._embedded(), ""
        for index, layer in enumerate(decoder.layers):
            stream, addition = self._layer(index, layer, stream, addition)
        normed, _ = self._added_norm(decoder.output_norm, stream, addition)
        self._head(normed)
        return helper.make_graph(
            self._nodes.nodes,
            decoder.arch,
            self._inputs(),
            self._outputs(),
            list(self._nodes.initializers.values()),
        )

    def _inputs(self) -> list[onnx.ValueInfoProto]:
        total = helper.make_tensor_value_info("attention_mask", _INT64, ["batch_size", "total_sequence_length"])
        ids = helper.make_tensor_value_info("input_ids", _INT64, ["batch_size", "sequence_length"])
        return [ids, total, *self._caches("past_key_values", "past_sequence_length")]

    def _outputs(self) -> list[onnx.ValueInfoProto]:
        logits = helper.make_tensor_value_info("logits", _FLOAT, ["batch_size", 1, self._decoder.n_vocab])
        return [logits, *self._caches("present", "present_sequence_length")]

    def _caches(self, name: str, length: str) -> list[onnx.ValueInfoProto]:
        shape: list[str | int | None] = ["batch_size", self._decoder.n_heads_kv, length, self._decoder.head_dim]
        return [
            helper.make_tensor_value_info(f"{name}.{index}.{what}", _FLOAT, shape)
            for index in range(self._decoder.n_layers)
            for what in ("key", "value")
        ]

    def _embedded(self) -> str:
        """[batch, sequence, n_embd]"""
        decoder, nodes, weight = self._decoder, self._nodes, self._weights["token_embd.weight"]
        if weight.scales is None:
            embedded = nodes.add("Gather", "token_embd", [nodes.stored(weight.values), "input_ids"], axis=0)
        else:
            embedded = self._gathered(weight)
        if decoder.embedding_scale is None:
            return embedded
        scale = nodes.constant("embedding_scale", decoder.embedding_scale)
        return nodes.add("Mul", "token_embd/scale", [embedded, scale])

    def _gathered(self, weight: PlannedWeight) -> str:
        nodes, options = self._nodes, self._options
        n_rows, n_blocks, n_block_bytes = weight.values.shape
        assert weight.scales is not None
        data = nodes.stored(weight.values, "token_embd.weight.rows", (n_rows, n_blocks * n_block_bytes))
        zeros = nodes.stored(weight.zero_points) if weight.zero_points else ""
        embedded = nodes.add(
            "GatherBlockQuantized",
            "token_embd",
            [data, "input_ids", nodes.stored(weight.scales), zeros],
            domain=MICROSOFT,
            bits=weight.bits,
            block_size=options.block_size,
            gather_axis=0,
            quantize_axis=1,
        )
        n_embd = self._decoder.n_embd
        if n_blocks * options.block_size == n_embd:
            return embedded
        ends = [nodes.constant(f"token_embd/{name}", [n]) for name, n in (("start", 0), ("stop", n_embd), ("axis", 2))]
        return nodes.add("Slice", "token_embd/width", [embedded, *ends])

    def _layer(self, index: int, layer: Layer, stream: str, addition: str) -> tuple[str, str]:
        """What goes on after a layer, and what the layer adds to it last."""
        normed, stream = self._added_norm(layer.attention_norm, stream, addition)
        attended = self._attention(index, layer, normed)
        if index == self._decoder.n_layers - 1:
            attended, stream = self._last(attended, 0), self._last(stream, 1)
            normed = self._last(normed, 2) if layer.ffn_norm is None else normed
        attended = self._linear(layer.attention_output, attended)
        if layer.ffn_norm is None:
            fed = self._feed_forward(layer, normed)
            return stream, self._nodes.add("Add", f"blk.{index}.parallel", [attended, fed])
        if layer.post_attention_norm is not None:
            attended = self._norm(layer.post_attention_norm, attended)
        normed, stream = self._added_norm(layer.ffn_norm, stream, attended)
        fed = self._feed_forward(layer, normed)
        return stream, fed if layer.post_ffn_norm is None else self._norm(layer.post_ffn_norm, fed)

    def _last(self, value: str, number: int) -> str:
        """The last token's: [batch, 1, width]"""
        nodes = self._nodes
        ends = [
            nodes.constant(f"{LAST_POSITION}/{name}", [n]) for name, n in (("start", -1), ("stop", 2**31), ("axis", 1))
        ]
        return nodes.add("Slice", f"{LAST_POSITION}.{number}", [value, *ends])

    def _attention(self, index: int, layer: Layer, normed: str) -> str:
        decoder, nodes, at = self._decoder, self._nodes, f"blk.{index}"
        inputs = [self._linear(linear, normed) for linear in attention_inputs(layer)]
        if layer.q_norm is not None and layer.k_norm is not None:
            inputs[0] = self._head_norm(layer.q_norm, inputs[0], decoder.n_heads)
            inputs[1] = self._head_norm(layer.k_norm, inputs[1], decoder.n_heads_kv)
        attributes = {"scale": decoder.attention_scale, "softcap": decoder.attention_softcap or None}
        attributes |= {"local_window_size": layer.window}
        return nodes.add_many(
            "GroupQueryAttention",
            f"{at}.attention",
            [
                *inputs,
                *[""] * (3 - len(inputs)),
                *(f"past_key_values.{index}.{what}" for what in ("key", "value")),
                *self._feed.lengths(),
                *self._feed.turns(layer.rope),
            ],
            [f"{at}.attention.out", f"present.{index}.key", f"present.{index}.value"],
            domain=MICROSOFT,
            num_heads=decoder.n_heads,
            kv_num_heads=decoder.n_heads_kv,
            do_rotary=1,
            **{name: value for name, value in attributes.items() if value is not None},
        )[0]

    def _feed_forward(self, layer: Layer, normed: str) -> str:
        nodes, name = self._nodes, layer.down.name.replace("ffn_down", "ffn")
        up = self._linear(layer.up, normed)
        gate = up if layer.gate is None else self._linear(layer.gate, normed)
        if self._decoder.activation == "silu":
            turned_on = nodes.add("Mul", f"{name}/silu", [gate, nodes.add("Sigmoid", f"{name}/sigmoid", [gate])])
        else:
            turned_on = nodes.add("FastGelu", f"{name}/gelu", [gate], domain=MICROSOFT)
        hidden = turned_on if layer.gate is None else nodes.add("Mul", f"{name}/gated", [turned_on, up])
        return self._linear(layer.down, hidden)

    def _head(self, normed: str) -> None:
        decoder, nodes = self._decoder, self._nodes
        if not decoder.logit_softcap:
            self._linear(decoder.output, normed, "logits")
            return
        cap = nodes.constant("logit_softcap", decoder.logit_softcap)
        scaled = nodes.add("Div", "output/scaled", [self._linear(decoder.output, normed), cap])
        nodes.add_many("Mul", "output/softcap", [nodes.add("Tanh", "output/tanh", [scaled]), cap], ["logits"])

    def _linear(self, linear: Linear, value: str, output: str = "") -> str:
        """A matrix, and its bias."""
        nodes, weight = self._nodes, self._weights[f"{linear.name}.weight"]
        output = output or f"{linear.name}.out"
        bias = nodes.stored(self._weights[f"{linear.name}.bias"].values) if linear.bias else ""
        if weight.scales is None:
            product = f"{linear.name}.product" if bias else output
            inputs = [value, nodes.stored(weight.values)]
            nodes.add_many("FusedMatMul", linear.name, inputs, [product], domain=MICROSOFT, transB=1)
            return nodes.add_many("Add", f"{linear.name}/bias", [product, bias], [output])[0] if bias else output
        zeros = nodes.stored(weight.zero_points) if weight.zero_points else ""
        return nodes.add_many(
            "MatMulNBits",
            linear.name,
            [value, nodes.stored(weight.values), nodes.stored(weight.scales), zeros, "", bias],
            [output],
            domain=MICROSOFT,
            K=linear.n_in,
            N=linear.n_out,
            bits=weight.bits,
            block_size=self._options.block_size,
            accuracy_level=_ACCURACY_LEVEL,
        )[0]

    def _norm_weights(self, norm: Norm) -> list[str]:
        names = [f"{norm.name}.weight", *([f"{norm.name}.bias"] if norm.bias else [])]
        return [self._nodes.stored(self._weights[name].values) for name in names]

    def _norm(self, norm: Norm, value: str) -> str:
        op = "SimplifiedLayerNormalization" if self._decoder.norm == "rms" else "LayerNormalization"
        inputs = [value, *self._norm_weights(norm)]
        return self._nodes.add(op, norm.name, inputs, axis=-1, epsilon=self._decoder.epsilon, stash_type=1)

    def _head_norm(self, norm: Norm, value: str, n_heads: int) -> str:
        """The norm of each head: [batch, sequence, n_heads * head_dim], and so again."""
        nodes, width = self._nodes, self._decoder.head_dim
        heads = nodes.constant(f"shape/{n_heads}_heads", [0, 0, n_heads, width])
        flat = nodes.constant(f"shape/{n_heads}_flat", [0, 0, n_heads * width])
        normed = self._norm(norm, nodes.add("Reshape", f"{norm.name}/heads", [value, heads]))
        return nodes.add("Reshape", f"{norm.name}/flat", [normed, flat])

    def _added_norm(self, norm: Norm, stream: str, addition: str) -> tuple[str, str]:
        """The norm of a sum, and the sum."""
        if not addition:
            return self._norm(norm, stream), stream
        op = "SkipSimplifiedLayerNormalization" if self._decoder.norm == "rms" else "SkipLayerNormalization"
        outputs = [f"{norm.name}.out", "", "", f"{norm.name}.sum"]
        inputs = [stream, addition, *self._norm_weights(norm)]
        self._nodes.add_many(op, norm.name, inputs, outputs, domain=MICROSOFT, epsilon=self._decoder.epsilon)
        return outputs[0], outputs[3]
