"""Trains the small tokenizers of `fixtures/` on `fixtures/corpus.txt`.

Run by hand, where `tokenizers` and `sentencepiece` are installed: `python -m tests.quantize.make_tokenizers`.
Its files are committed, for the trainers' results change between versions and the oracle's numbers hang on them.

- `bpe.json`: vocabulary and merges of a byte-level BPE, without control tokens: each family adds its own.
- `llama.model`, `gemma.model`: SentencePiece BPE with byte fallback, with the settings of Llama 2 and of Gemma.
- `llama.json`: vocabulary and merges of `llama.model`, for a tokenizer.json.
- `plamo.model`: SentencePiece unigram, as PLaMo 13B; `plamo.jsonl`: PLaMo 2's and 3's own format.
"""

from __future__ import annotations

import importlib
import io
import json
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).with_name("fixtures")
CORPUS = FIXTURES / "corpus.txt"
N_BPE = 480
N_SPM = 576

# A split such as Qwen's keeps the merges meaningful for every family's own split.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

PLAMO_CONTROL = ("<|plamo:unk|>", "<|plamo:bos|>", "<|plamo:eos|>", "<|plamo:pad|>", "<|plamo:op|>", "<|plamo:msg|>")


def main() -> None:
    """Train and write all of them."""
    _train_bpe()
    shared = {
        "byte_fallback": True,
        "split_digits": True,
        "allow_whitespace_only_pieces": True,
        "remove_extra_whitespaces": False,
        "normalization_rule_name": "identity",
        "character_coverage": 0.98,
    }
    llama = _train_spm("llama", model_type="bpe", **shared)
    gemma_symbols = ["<mask>", "<start_of_turn>", "<end_of_turn>", "\n\n", "▁▁", "▁▁▁", "▁▁▁▁"]
    _train_spm(
        "gemma",
        model_type="bpe",
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        add_dummy_prefix=False,
        user_defined_symbols=gemma_symbols,
        **shared,
    )
    plamo = _train_spm("plamo", model_type="unigram", pad_id=3, **shared)
    _write("llama.json", _as_bpe(llama))
    _write_plamo_jsonl(plamo)


def _train_bpe() -> None:
    tokenizers: Any = importlib.import_module("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(SPLIT), "isolated"),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=N_BPE, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train([str(CORPUS)], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    by_id = sorted(model["vocab"], key=model["vocab"].__getitem__)
    _write("bpe.json", {"vocab": by_id, "merges": model["merges"]})


def _train_spm(name: str, **settings: Any) -> Any:
    sentencepiece: Any = importlib.import_module("sentencepiece")
    lines = iter(CORPUS.read_text(encoding="utf-8").splitlines())
    written = io.BytesIO()  # a model written to a path would hold that path
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=lines, model_writer=written, vocab_size=N_SPM, num_threads=1, minloglevel=2, **settings
    )
    (FIXTURES / f"{name}.model").write_bytes(written.getvalue())
    return sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())


def _as_bpe(model: Any) -> dict[str, Any]:
    """The vocabulary by id, and the merges it stands for: the pairs of pieces that make a third, best piece first."""
    pieces = [model.IdToPiece(index) for index in range(model.GetPieceSize())]
    score = {piece: model.GetScore(index) for index, piece in enumerate(pieces)}
    merges = [
        (score[piece], [piece[:cut], piece[cut:]])
        for piece in pieces
        for cut in range(1, len(piece))
        if piece[:cut] in score and piece[cut:] in score
    ]
    return {"vocab": pieces, "merges": [pair for _, pair in sorted(merges, key=lambda merge: -merge[0])]}


def _write_plamo_jsonl(model: Any) -> None:
    rows: list[list[Any]] = [
        [token, 0.0, "UNKNOWN" if not index else "CONTROL"] for index, token in enumerate(PLAMO_CONTROL)
    ]
    rows += [[f"<0x{byte:02X}>", 0.0, "BYTE"] for byte in range(256)]
    pieces = (index for index in range(model.GetPieceSize()) if not model.IsControl(index) and not model.IsByte(index))
    for index in pieces:
        if not model.IsUnknown(index):
            rows.append([model.IdToPiece(index).replace("▁", " "), round(model.GetScore(index), 4), "NORMAL"])
    lines = [json.dumps([*row, None, None, None, None], ensure_ascii=False) for row in rows]
    (FIXTURES / "plamo.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write(name: str, value: Any) -> None:
    (FIXTURES / name).write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
