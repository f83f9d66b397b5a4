"""Names of files that are read as documents. What a file really is, its content decides: see sniff.py."""

from __future__ import annotations

import os
from pathlib import PurePath

_CODE = (
    *("py", "pyi", "pyx", "js", "mjs", "cjs", "jsx", "ts", "tsx", "vue", "svelte", "java", "kt", "kts"),
    *("scala", "groovy", "c", "h", "cc", "cpp", "cxx", "hh", "hpp", "hxx", "inl", "m", "mm", "cs", "fs", "vb", "go"),
    *("rs", "swift", "rb", "php", "pl", "pm", "lua", "r", "jl", "hs", "ml", "mli", "clj", "ex", "exs", "erl", "dart"),
    *("nim", "zig", "v", "sv", "vhd", "vhdl", "asm", "s", "f90", "f", "pas", "lisp", "el", "scm", "sh", "bash", "zsh"),
    *("fish", "ps1", "bat", "cmd", "sql", "css", "scss", "less", "xml", "xsd", "xsl", "toml", "yaml", "yml"),
    *("ini", "cfg", "conf", "properties", "cmake", "mk", "gradle", "tf", "proto", "graphql", "tex", "bib"),
    *("diff", "patch", "awk", "tcl", "vim", "cu", "cl", "glsl", "hlsl", "ino", "dts", "ld", "tcss"),
)

KINDS: dict[str, str] = {
    ".pdf": "pdf",
    **dict.fromkeys((".docx", ".docm"), "docx"),
    **dict.fromkeys((".pptx", ".pptm", ".ppsx"), "pptx"),
    **dict.fromkeys((".xlsx", ".xlsm"), "xlsx"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    ".epub": "epub",
    **dict.fromkeys((".md", ".markdown", ".mkd", ".mdx"), "markdown"),
    **dict.fromkeys((".txt", ".text", ".log", ".rst", ".adoc", ".asciidoc", ".org", ".srt", ".vtt"), "text"),
    **dict.fromkeys((".csv", ".tsv", ".tab"), "csv"),
    ".json": "json",
    ".ipynb": "notebook",
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    **dict.fromkeys((".eml", ".mht", ".mhtml"), "eml"),
    **{f".{suffix}": "code" for suffix in _CODE},
}
"""By suffix, in small letters: the kind that a file of this name is expected to be."""

_NAMES = {
    **dict.fromkeys(("readme", "license", "licence", "copying", "changelog", "changes", "authors", "news"), "text"),
    **dict.fromkeys(("makefile", "dockerfile", "cmakelists.txt", "gnumakefile", "jenkinsfile"), "code"),
}


def expected_kind(path: str | os.PathLike[str]) -> str | None:
    """The kind that a file's name promises; None where it promises none."""
    name = PurePath(path).name.lower()
    return _NAMES.get(name) or KINDS.get(PurePath(name).suffix)


def is_readable(path: str | os.PathLike[str]) -> bool:
    """Whether a file of this name is one of the kinds that are read; nothing is opened."""
    return expected_kind(path) is not None
