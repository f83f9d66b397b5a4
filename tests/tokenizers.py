"""Tiny models with the tokenizers that `tests.tiny` does not write: SentencePiece and PLaMo 2's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

from gguf import GGUFWriter, TokenType

from tests import tiny

BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
WORDS = ("▁", "a", "b", "ab", "▁a", "the", "▁the", "日", "本", "日本", "🙂", "\n", "<|im_end|>")
SOUND: tuple[bytes, ...] = tuple(text.encode() for text in ("<unk>", "<s>", "</s>", "<pad>", *BYTES, *WORDS))


def model_with_tokenizer(path: Path, tokenizer: str, tokens: Sequence[bytes] = SOUND, **flags: bool) -> Path:
    """A tiny Llama whose vocabulary is `tokens`, the first four of them control tokens.

    Args:
        path: the file to write.
        tokenizer: `llama` (SentencePiece) or `plamo2`.
        tokens: texts of the tokens.
        flags: `add_bos_token` and the like.
    """

    def add_vocabulary(writer: GGUFWriter, chat_template: str | None) -> None:
        writer.add_tokenizer_model(tokenizer)
        writer.add_token_list(list(tokens))
        writer.add_token_scores([0.0] * 4 + [-float(index) for index in range(len(tokens) - 4)])
        types = [TokenType.CONTROL] * 4 + [TokenType.NORMAL] * (len(tokens) - 4)
        for index, token in enumerate(tokens):
            if token.decode("utf-8", "replace") in BYTES:
                types[index] = TokenType.BYTE
        writer.add_token_types(types)
        for name, value in flags.items():
            writer.add_bool(f"tokenizer.ggml.{name}", value)

    texts = [token.decode("utf-8", "replace") for token in tokens]
    with patch.object(tiny, "_add_vocabulary", add_vocabulary), patch.object(tiny, "vocabulary", lambda: texts):
        return tiny.tiny_model(path, "llama")
