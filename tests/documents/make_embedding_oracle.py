"""Tiny embedding models with random weights, and what transformers makes of texts with them: embedding_oracle/.

Each model is made by transformers, converted by llama.cpp's own converter, and kept as NAME.gguf.gz; oracle.json holds
the texts and the vectors. Run by hand, from the repository's root, in an environment with torch, transformers and
sentencepiece:

    python -m tests.documents.make_embedding_oracle PATH/TO/convert_hf_to_gguf.py
"""

from __future__ import annotations

import gzip
import importlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "embedding_oracle"
N_CTX = 48
TEXTS = (
    "How do I switch the device on?",
    "Hold the power button for three seconds, and the device starts.",
    "The contract ends in May; it can be renewed for one year.",
    "電源ボタンを3秒押すと装置が起動します。",
    "ケーキは何分焼きますか",
    "naïve café, Ünïcödé",
    "a",
    " spaces  and\tTabs\nand lines ",
    "Ｆｕｌｌ ｗｉｄｔｈ ①",
    "a text that is longer than the context of these models " * 4,
)
_SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
_SPREAD = 0.35  # of the weights: with the usual 0.02 attention would be nearly even, and all texts nearly the same
_RULES = {
    "Ｆ": "F",
    "ｕ": "u",
    "ｌ": "l",
    "ｗ": "w",
    "ｉ": "i",
    "ｄ": "d",
    "ｔ": "t",
    "ｈ": "h",
    "①": "1",
    "\t": " ",
    "\n": " ",
}
# The converter knows pre-tokenizers by the hash of what they make of a text; those of these vocabularies it cannot.
_CONVERT = """
import runpy, sys
sys.argv = sys.argv[1:]
sys.path.insert(0, ".")
from conversion import base
base.TextModel.get_vocab_base_pre = lambda self, tokenizer: "qwen2"
runpy.run_path(sys.argv[0], run_name="__main__")
"""

sentencepiece: Any
tokenizers: Any
torch: Any
transformers: Any
sentencepiece, tokenizers, torch, transformers = map(  # typed as Any: they are not installed where edgeai is
    importlib.import_module, ("sentencepiece", "tokenizers", "torch", "transformers")
)


def main() -> None:
    """Make every model and write the oracle."""
    vectors = {}
    for name, (make, pooling) in _MODELS.items():
        torch.manual_seed(7)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            _save(make(folder), folder, pooling)
            _convert(Path(sys.argv[1]), folder, name)
            vectors[name] = _vectors(folder, pooling)
    oracle = {"n_ctx": N_CTX, "texts": TEXTS, "vectors": vectors}
    (FOLDER / "oracle.json").write_text(json.dumps(oracle, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


def _bert(folder: Path) -> Any:
    """An encoder with a WordPiece vocabulary, like bge-small-en or all-MiniLM."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    letters = sorted(set("".join(normalizer.normalize_str(text) for text in TEXTS)) - {" "})
    words = ["how", "the", "device", "power", "button", "second", "##s", "text", "context", "these", "model"]
    entries = dict.fromkeys([*special, *words, *letters, *(f"##{letter}" for letter in letters)])
    vocabulary = {entry: index for index, entry in enumerate(entries)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", tokenizer.token_to_id("[CLS]")), ("[SEP]", tokenizer.token_to_id("[SEP]"))],
    )
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **dict(zip(names, special, strict=True))
    ).save_pretrained(folder)
    size = {"vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": N_CTX}
    return transformers.BertModel(transformers.BertConfig(**_SIZES, **size, initializer_range=_SPREAD))


def _xlmr(folder: Path) -> Any:
    """An encoder with SentencePiece's unigram vocabulary and a table of normalizations, like bge-m3."""
    rules = folder / "rules.tsv"
    rules.write_text("".join(f"{ord(a):X}\t{ord(b):X}\n" for a, b in _RULES.items()))
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_prefix=str(folder / "sentencepiece.bpe"),
        vocab_size=150,
        model_type="unigram",
        normalization_rule_tsv=str(rules),
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (folder / "config.json").write_text(json.dumps({"model_type": "xlm-roberta"}))
    transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(
        folder
    )  # tokenizer.json says what is added at both ends
    vocabulary = sentencepiece.SentencePieceProcessor(model_file=str(folder / "sentencepiece.bpe.model"))
    config = transformers.XLMRobertaConfig(
        **_SIZES,
        vocab_size=vocabulary.vocab_size() + 2,
        max_position_embeddings=N_CTX + 2,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        initializer_range=_SPREAD,
    )
    return transformers.XLMRobertaModel(config)


def _qwen3(folder: Path) -> Any:
    """A decoder whose last token is the vector, like Qwen3-Embedding."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    end = "<|endoftext|>"
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=[end], initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"$A {end}", pair=f"$A $B:1 {end}:1", special_tokens=[(end, tokenizer.token_to_id(end))]
    )
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=end, eos_token=end).save_pretrained(
        folder
    )
    config = transformers.Qwen3Config(
        **_SIZES,
        vocab_size=tokenizer.get_vocab_size(),
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=N_CTX,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.token_to_id(end),
        initializer_range=_SPREAD,
    )
    return transformers.Qwen3Model(config)


def _gemma(folder: Path) -> Any:
    """An encoder made of a decoder, like EmbeddingGemma: it needs a layer of each kind, and so six."""
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=400,
        model_type="bpe",
        byte_fallback=True,
        character_coverage=0.98,
        hard_vocab_limit=False,
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        minloglevel=2,
        **{"pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3, "eos_piece": "<eos>", "bos_piece": "<bos>"},
    )
    (folder / "config.json").write_text(json.dumps({"model_type": "gemma3_text"}))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_bos_token = tokenizer.add_eos_token = True
    tokenizer.save_pretrained(folder)
    config = transformers.Gemma3TextConfig(
        **{**_SIZES, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 6},
        vocab_size=len(tokenizer),
        num_key_value_heads=1,
        head_dim=8,
        query_pre_attn_scalar=8,
        max_position_embeddings=N_CTX,
        layer_types=["sliding_attention"] * 5 + ["full_attention"],
        use_bidirectional_attention=True,
        bos_token_id=2,
        eos_token_id=1,
        initializer_range=_SPREAD,
    )
    config.sliding_window = 8 * N_CTX  # halved whenever it is read
    return transformers.Gemma3TextModel(config)


_MODELS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "bert": (_bert, "mean_tokens"),
    "xlmr": (_xlmr, "cls_token"),
    "qwen3": (_qwen3, "lasttoken"),
    "gemma": (_gemma, "mean_tokens"),
}


def _save(model: Any, folder: Path, pooling: str) -> None:
    model.half().save_pretrained(folder)  # so that both sides have the same weights
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{pooling}": True}))
    (folder / "modules.json").write_text(json.dumps([{"type": "models.Pooling", "path": "1_Pooling"}]))


def _convert(converter: Path, folder: Path, name: str) -> None:
    gguf = folder / "model.gguf"
    command = [sys.executable, "-c", _CONVERT, str(converter.resolve()), str(folder), "--outtype", "f16"]
    command += ["--outfile", str(gguf), "--model-name", f"tiny-{name}"]
    subprocess.run(command, check=True, cwd=converter.parent)
    (FOLDER / f"{name}.gguf.gz").write_bytes(gzip.compress(gguf.read_bytes(), mtime=0))


def _vectors(folder: Path, pooling: str) -> Sequence[Sequence[float]]:
    """What transformers gives for each text, of length 1. [n_texts, n_embd]"""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    vectors = []
    for text in TEXTS:
        inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=N_CTX)
        with torch.no_grad():
            states = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).last_hidden_state[0]
        pooled = {"mean_tokens": states.mean(dim=0), "cls_token": states[0], "lasttoken": states[-1]}[pooling]
        vectors.append([round(value, 5) for value in (pooled / pooled.norm()).tolist()])
    return vectors


if __name__ == "__main__":
    main()
