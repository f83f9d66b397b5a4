"""Record what transformers finds of the tiny Llama model's texts, for the tests to compare with.

    python -m tests.evaluation.make_oracle

It needs torch, transformers and tokenizers beside what the tests need. Weights, words and prompts go their own way: the
tensors of tests.tiny into transformers' LlamaForCausalLM in float64, texts through Hugging Face's byte-level BPE,
prompts as lm-evaluation-harness writes them, cut into context and continuation as its `_encode_pair` does.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

from tests import tiny
from tests.evaluation import files

ORACLE = Path(__file__).parent / "oracle.json"

_GGUF_NAMES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def model() -> Any:
    """The tiny model in transformers."""
    config = LlamaConfig(
        vocab_size=len(tiny.vocabulary()),
        hidden_size=tiny.N_EMBD,
        intermediate_size=tiny.N_FF,
        num_hidden_layers=tiny.N_LAYER,
        num_attention_heads=tiny.N_HEAD,
        num_key_value_heads=tiny.N_HEAD_KV,
        head_dim=tiny.HEAD_DIM,
        rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        tie_word_embeddings=False,
        attn_implementation="eager",
    )
    made = LlamaForCausalLM(config).double().eval()
    state = {}
    for name, values in tiny._tensors("llama", np.random.default_rng(0)):
        key, array = _hf_name(name), np.asarray(values, dtype=np.float32).astype(np.float64)
        if ".q_proj" in key or ".k_proj" in key:
            array = _rotated_by_halves(array)
        state[key] = torch.from_numpy(np.ascontiguousarray(array))
    made.load_state_dict(state)
    return made


def _hf_name(name: str) -> str:
    parts = name.split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{_GGUF_NAMES[parts[2]]}.weight"
    return {"token_embd": "model.embed_tokens", "output": "lm_head", "output_norm": "model.norm"}[parts[0]] + ".weight"


def _rotated_by_halves(array: Any) -> Any:
    """llama.cpp rotates neighbours, transformers the halves of a head."""
    n_out, n_in = array.shape
    heads = array.reshape(n_out // tiny.HEAD_DIM, tiny.HEAD_DIM // 2, 2, n_in)
    return heads.swapaxes(1, 2).reshape(n_out, n_in)


def tokenizer() -> Any:
    """The tiny model's vocabulary in Hugging Face's tokenizers."""
    vocabulary = {text: number for number, text in enumerate(tiny.vocabulary())}
    merges = [(merge.split(" ")[0], merge.split(" ")[1]) for merge in tiny.MERGES]
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return made


def log_likelihood(net: Any, context: list[int], continuation: list[int]) -> float:
    """The sum of a continuation's log-probabilities, the whole sequence evaluated anew."""
    with torch.no_grad():
        logits = net(torch.tensor([[*context, *continuation]])).logits[0]  # [n_tokens, n_vocab]
    log_probs = torch.log_softmax(logits[len(context) - 1 : -1], dim=-1)
    return float(log_probs.gather(1, torch.tensor(continuation)[:, None]).sum())


def encode_pair(words: Any, context: str, continuation: str) -> tuple[list[int], list[int]]:
    """As lm-evaluation-harness does (lm_eval/api/model.py)."""
    n_spaces = len(context) - len(context.rstrip())
    if n_spaces:
        context, continuation = context[:-n_spaces], context[-n_spaces:] + continuation
    whole, begin = words.encode(context + continuation).ids, words.encode(context).ids
    return whole[: len(begin)], whole[len(begin) :]


def prompts() -> dict[str, list[tuple[str, list[str]]]]:
    """Of some tasks: each question's context, and what may follow."""
    dev = "".join(
        f"{q}\nA. {a}\nB. {b}\nC. {c}\nD. {d}\nAnswer: {answer}\n\n" for q, a, b, c, d, answer in files.ANATOMY_DEV
    )
    head = "The following are multiple choice questions (with answers) about anatomy.\n\n"
    letters = [" A", " B", " C", " D"]
    return {
        "mmlu": [
            (f"{head}{dev}{q}\nA. {a}\nB. {b}\nC. {c}\nD. {d}\nAnswer:", letters) for q, a, b, c, d, _ in files.ANATOMY
        ],
        "arc": [
            (
                f"Question: {row['question']['stem']}\nAnswer:",
                [f" {choice['text']}" for choice in row["question"]["choices"]],
            )
            for row in files.ARC
        ],
        "hellaswag": [
            (
                "Baking bread: A woman kneads dough on a table. She",
                [
                    " puts it into the oven.",
                    " throws the table away and laughs.",
                    " swims through the lake quickly.",
                    " reads the dough a book.",
                ],
            ),
            (
                "Gardening: How to plant a tree. Dig a hole.",
                [" Sell the hole.", " Put the tree in.", " Close your eyes.", " Call the fire brigade."],
            ),
        ],
    }


TEXT = "The one thing that all of them said: and then the water fell.\nNobody had seen it, in the end. 水が落ちた。"


def main() -> None:
    """Write the file."""
    net, words = model(), tokenizer()
    found: dict[str, Any] = {}
    for task, questions in prompts().items():
        found[task] = []
        for context, continuations in questions:
            pairs = [encode_pair(words, context, continuation) for continuation in continuations]
            found[task].append(
                {
                    "log_probs": [round(log_likelihood(net, *pair), 6) for pair in pairs],
                    "n_tokens": [len(continuation) for _, continuation in pairs],
                }
            )
    begin, ids = words.token_to_id("<|endoftext|>"), words.encode(TEXT).ids
    found["text"] = {"n_tokens": len(ids), "log_prob": round(log_likelihood(net, [begin], ids), 6)}
    ORACLE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
