"""Tokenizer files to GGUF vocabulary metadata."""

from __future__ import annotations

from collections.abc import Container, Iterator

from gguf import GGUFValueType

from edgeai.errors import CheckpointError, QuantizeError
from quantize.base import Checkpoint, Meta
from quantize.vocab.files import AGAIN, TokenizerFiles
from quantize.vocab.plamo import plamo_vocabulary
from quantize.vocab.special import add_key, id_key, special_keys
from quantize.vocab.spm import MODEL_FILE, spm_keys
from quantize.vocab.spm_json import is_spm_json, prepends_space

__all__ = ["vocabulary"]

_SPACE_PREFIX = "tokenizer.ggml.add_space_prefix"
_GEMMA = ("gemma2", "gemma3")
_CODE_LLAMA = 32016  # its vocabulary's size, by which the official converter knows it, and its end of a turn
_CODE_LLAMA_EOT = 32010
_SMOLLM = 49152  # likewise: SmolLM's, StarCoder's and Granite's tokenizers put nothing before a text


def vocabulary(checkpoint: Checkpoint, arch: str) -> list[Meta]:
    """The vocabulary's metadata, in the official converter's order.

    It differs from the official converter's where that one's is no use: a SentencePiece vocabulary without
    tokenizer.model gets scores by the order of its merges instead of -1000 throughout, and every family can have one;
    a byte-level BPE of unknown hash is recognised by its steps instead of being refused; special tokens' numbers
    beyond the vocabulary are left out; and chat_template.jinja counts where there is no tokenizer_config.json, too.

    Args:
        checkpoint: the folder: tokenizer.model, tokenizer.json, tokenizer_config.json, …
        arch: llama.cpp's name of the family: "llama", "qwen3", "phi3", "gemma3", "plamo2" …
    Raises:
        CheckpointError: a file is missing, damaged, or holds a tokenizer that llama.cpp does not have.
        QuantizeError: the package that reads a byte-level vocabulary is not installed.
    """
    if arch in ("plamo2", "plamo3"):
        return plamo_vocabulary(checkpoint, with_chat_template=arch == "plamo3")
    try:
        return _vocabulary(TokenizerFiles.read(checkpoint), arch)
    except RecursionError as exc:
        raise CheckpointError(f"{checkpoint.path}: a tokenizer file is nested too deep; {AGAIN}") from exc


def _vocabulary(files: TokenizerFiles, arch: str) -> list[Meta]:
    vocab = _spm_or_bpe(files, arch)
    n_tokens = next(len(meta.value) for meta in vocab if meta.key == "tokenizer.ggml.tokens")
    keys = [*_before(files, arch), *vocab, *special_keys(files, n_tokens)]
    keys += _after(files, arch, {meta.key for meta in keys})
    # a key that comes twice keeps its place and gets the later value
    return list({meta.key: meta for meta in keys}.values())


def _before(files: TokenizerFiles, arch: str) -> Iterator[Meta]:
    prefix = files.settings.get("add_prefix_space")
    if arch == "llama" and isinstance(prefix, bool):
        yield _add_space_prefix(prefix)


def _after(files: TokenizerFiles, arch: str, known: Container[str]) -> Iterator[Meta]:
    from_json = files.checkpoint.file(MODEL_FILE) is None and is_spm_json(files)
    if arch in _GEMMA or (from_json and _SPACE_PREFIX not in known and not prepends_space(files)):
        yield _add_space_prefix(False)
    if arch == "llama" and files.vocab_size == _CODE_LLAMA and "tokenizer.ggml.eot_token_id" not in known:
        yield id_key("eot", _CODE_LLAMA_EOT)
    if arch == "llama" and files.vocab_size == _SMOLLM:
        yield add_key("bos", False)


def _spm_or_bpe(files: TokenizerFiles, arch: str) -> list[Meta]:
    has_model = files.checkpoint.file(MODEL_FILE) is not None
    if not has_model and not files.tokenizer:
        raise CheckpointError(
            f"{files.checkpoint.path}: no tokenizer.json and no {MODEL_FILE}, expected one of them; "
            "fetch the checkpoint's tokenizer files"
        )
    byte_level = files.settings.get("tokenizer_class") == "GPT2Tokenizer" if arch == "phi3" else arch == "phi2"
    if not byte_level and (has_model or is_spm_json(files)):
        return spm_keys(files, as_phi3=arch == "phi3")
    try:  # imported here: a SentencePiece vocabulary does without its library
        from quantize.vocab.bpe import bpe_keys
    except ModuleNotFoundError as exc:
        raise QuantizeError(
            f"{files.checkpoint.path}: a byte-level vocabulary needs the package {exc.name}, which is not installed; "
            "run `pip install 'edgeai[quantize]'`"
        ) from exc
    return bpe_keys(files, arch)


def _add_space_prefix(flag: bool) -> Meta:
    return Meta(_SPACE_PREFIX, flag, GGUFValueType.BOOL)
