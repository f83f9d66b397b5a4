"""What embedding models want to read before a question and before a passage: each as its makers' model card says.

A model finds worse without them, and no GGUF key names them: they follow from the architecture and the model's name.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Prefixes(NamedTuple):
    """What stands before a question, and before a passage."""

    query: str
    passage: str


NO_PREFIXES = Prefixes("", "")
_TASK = "Given a web search query, retrieve relevant passages that answer the query"
_SENTENCE = Prefixes("Represent this sentence for searching relevant passages: ", "")

# Architectures and names, in small letters; the first that is found counts.
_ARCHITECTURES = {
    "gemma-embedding": Prefixes("task: search result | query: ", "title: none | text: "),
    **dict.fromkeys(("nomic-bert", "nomic-bert-moe"), Prefixes("search_query: ", "search_document: ")),
}
_NAMES = (
    (r"embedding-?gemma", _ARCHITECTURES["gemma-embedding"]),
    (r"nomic-embed", _ARCHITECTURES["nomic-bert"]),
    (r"\be5\b.*\binstruct", Prefixes(f"Instruct: {_TASK}\nQuery: ", "")),
    (r"\be5-mistral", Prefixes(f"Instruct: {_TASK}\nQuery: ", "")),
    (r"\be5\b", Prefixes("query: ", "passage: ")),
    (r"qwen3-embedding", Prefixes(f"Instruct: {_TASK}\nQuery:", "")),
    (r"\bbge-(small|base|large)-zh", Prefixes("为这个句子生成表示以用于检索相关文章：", "")),
    (r"\bbge-(small|base|large)-en", _SENTENCE),
    (r"arctic-embed.*v2", Prefixes("query: ", "")),
    (r"arctic-embed", _SENTENCE),
    (r"mxbai-embed", _SENTENCE),
    (r"\bruri-v3", Prefixes("検索クエリ: ", "検索文書: ")),
    (r"\bruri\b", Prefixes("クエリ: ", "文章: ")),
)


def prefixes_of(architecture: str, *names: str) -> Prefixes:
    """The prefixes of a model; none for one that is not known.

    Args:
        architecture: llama.cpp's name of it.
        names: the model's and its file's, the one that counts most first.
    """
    if architecture in _ARCHITECTURES:
        return _ARCHITECTURES[architecture]
    for name in names:
        dashed = re.sub(r"[\s_]+", "-", name.lower())
        for pattern, prefixes in _NAMES:
            if re.search(pattern, dashed):
                return prefixes
    return NO_PREFIXES
