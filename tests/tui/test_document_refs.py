"""What is stored of a conversation's documents and of an answer's sources, and what comes back from a hostile store."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeai.documents.types import Citation, Document
from tui.document_refs import MAX_DOCUMENTS, DocumentRef, refs_from_json, refs_of
from tui.settings import ConversationSettings
from tui.sources import distinct, from_stats, source_line, to_stats

SHA = "0123456789abcdef" * 4
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just(SHA) | st.just("/a"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(("path", "sha256", "quote", "passage", "start", "end", "headings", "page", "line")), inner
        )
    ),
    max_leaves=30,
)
CITATION = Citation(Path("/a/規則.md"), "quote", "a quote b", 3, 9, ("One", "Two"), 12, None)


def test_documents_come_back_with_the_settings() -> None:
    refs = (DocumentRef("/a/manual [b].pdf", SHA), DocumentRef("/規則.md", SHA[::-1]))
    stored = ConversationSettings(system="x", documents=refs)
    assert ConversationSettings.from_json(stored.to_json()) == stored
    assert "documents" not in stored.sampling()
    assert "documents" not in json.loads(ConversationSettings(system="x").to_json())


def test_each_path_once_and_absolute() -> None:
    document = Document(Path("manual.md"), "markdown", "Manual", SHA, ())
    assert refs_of([document, document]) == (DocumentRef(str(Path.cwd() / "manual.md"), SHA),)


@pytest.mark.parametrize("name", ["~nobody1/a.txt", "~/a.txt", "~", "x/~/a.txt"])
def test_a_tilde_is_a_letter_like_others(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (ref,) = refs_of([Document(Path(name), "text", "a", SHA, ())])
    assert ref.path == f"{tmp_path}/{name}"


def test_what_makes_no_sense_is_left_out() -> None:
    good = {"path": "/a", "sha256": SHA}
    bad = [{}, {**good, "path": "a"}, {**good, "path": "/\0"}, {**good, "sha256": "x"}, {**good, "path": 3}, None, good]
    assert refs_from_json([*bad, good]) == (DocumentRef("/a", SHA),)
    assert len(refs_from_json([{**good, "path": f"/{number}"} for number in range(500)])) == MAX_DOCUMENTS


@settings(deadline=None)
@given(JSON)
def test_whatever_is_stored_opens(value: Any) -> None:
    for ref in refs_from_json(value):
        assert Path(ref.path).is_absolute()
    for citation in from_stats(value):
        assert isinstance(citation.label, str)
        assert from_stats(json.loads(json.dumps(to_stats([citation])))) == (citation,)


def test_citations_come_back_from_json() -> None:
    citations = (CITATION, replace(CITATION, page=None, line=7, headings=()))
    assert from_stats(json.loads(json.dumps(to_stats(citations)))) == citations


def test_a_name_that_is_no_unicode_can_be_stored() -> None:
    (stored,) = from_stats(json.loads(json.dumps(to_stats([replace(CITATION, path=Path("/a/\udcff.md"))]))))
    assert stored.path == Path("/a/?.md")
    assert DocumentRef("/a/\udcff.md", SHA).to_json()["path"] == "/a/?.md"


def test_each_source_is_listed_once_and_inert() -> None:
    other = replace(CITATION, start=50, end=60)
    assert distinct([CITATION, other, replace(CITATION, page=13)]) == (CITATION, replace(CITATION, page=13))
    hostile = replace(CITATION, path=Path("/a/x\x1b[31m\n.md"), headings=("A\x1b]0;x\x07\u202e", "[b]B[/b]"))
    assert source_line(1, hostile) == "[1] x .md p. 12 · A › [b]B[/b]"
