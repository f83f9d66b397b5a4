"""Drafts on the disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tui.document_refs import DocumentRef
from tui.drafts import NEW, Drafts


def test_drafts_come_back(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / "home" / "drafts.json")
    drafts.set(NEW, "日本語")
    drafts.set("abc", "x")
    drafts.set("abc", "")
    drafts.save()
    again = Drafts(tmp_path / "home" / "drafts.json")
    assert (again.get(NEW), again.get("abc")) == ("日本語", "")


def test_nothing_is_written_where_nothing_changed(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / "drafts.json")
    drafts.set(NEW, "")
    drafts.save()
    assert not (tmp_path / "drafts.json").exists()


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"a": 1}', "[" * 100_000])
def test_a_damaged_file_is_no_obstacle(tmp_path: Path, content: str) -> None:
    (tmp_path / "drafts.json").write_text(content)
    assert Drafts(tmp_path / "drafts.json").get("a") == ""


def test_without_a_path_nothing_is_stored() -> None:
    drafts = Drafts(None)
    drafts.set(NEW, "secret")
    drafts.save()
    assert drafts.get(NEW) == "secret"


def test_a_disk_that_takes_nothing_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    drafts = Drafts(tmp_path / "file" / "drafts.json")
    drafts.set(NEW, "x")
    drafts.save()
    assert drafts.get(NEW) == "x"


def test_the_documents_of_a_new_chat_come_back(tmp_path: Path) -> None:
    refs = (DocumentRef("/a/日本.md", "0" * 64), DocumentRef("/b.md", "1" * 64))
    drafts = Drafts(tmp_path / "drafts.json")
    drafts.documents = refs
    drafts.save()
    again = Drafts(tmp_path / "drafts.json")
    assert (again.documents, again.get("documents")) == (refs, "")
    again.documents = ()
    again.save()
    assert Drafts(tmp_path / "drafts.json").documents == ()


@pytest.mark.parametrize("stored", ["text", {}, [{}], [{"path": "relative", "sha256": "0" * 64}], [3], None])
def test_documents_that_make_no_sense_are_none(tmp_path: Path, stored: object) -> None:
    (tmp_path / "drafts.json").write_text(json.dumps({"new": "x", "documents": stored}))
    drafts = Drafts(tmp_path / "drafts.json")
    assert (drafts.get(NEW), drafts.documents) == ("x", ())
