"""The file that notes grow in."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from edgeai.errors import OptionError
from edgeai.notes.fixed_words import ENGLISH
from edgeai.notes.markdown import Notes, NotesFile, NotesPart, escaped, markdown


def notes() -> Notes:
    return Notes("T*i*tle\n# x", None, [NotesPart("One", 2, "first", ("a.pdf p. 1",)), NotesPart("<b>Two</b>", 2)])


def test_what_is_not_whole_says_so_at_its_end() -> None:
    made = notes()
    assert markdown(made) == f"# T\\*i\\*tle # x\n\n## One\n\nfirst\n\n[a.pdf p. 1]\n\n{ENGLISH.unfinished}\n"
    made.parts[1].text = "second"
    made.overview = "all"
    assert markdown(made).endswith("## \\<b\\>Two\\</b\\>\n\nsecond\n")


def test_the_file_itself_is_there_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "notes.md"
    target.write_text("older")
    target.chmod(0o640)
    file, made = NotesFile(target), notes()
    file.write(made)
    assert target.read_text() == "older"
    assert (tmp_path / "notes.md.part").read_text().endswith(ENGLISH.unfinished + "\n")
    made.parts[1].text = made.overview = "x"
    file.finish(made)
    assert target.read_text() == markdown(made)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["notes.md"]


def test_a_new_file_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        NotesFile(tmp_path / "n.md").finish(notes())
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "n.md").stat().st_mode) == 0o640


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real.md").write_text("old")
    (tmp_path / "link.md").symlink_to("real.md")
    NotesFile(tmp_path / "link.md").finish(notes())
    assert (tmp_path / "link.md").is_symlink()
    assert (tmp_path / "real.md").read_text() != "old"


def test_where_it_cannot_be_written(tmp_path: Path) -> None:
    source = tmp_path / "doc.md"
    source.write_text("x")
    (tmp_path / "again.md").hardlink_to(source)
    os.mkfifo(tmp_path / "pipe")
    for path, words in [
        (tmp_path / "no" / "n.md", "no such folder"),
        (tmp_path, "no regular file"),
        (tmp_path / "pipe", "no regular file"),
        (source, "one of the documents"),
        (tmp_path / "again.md", "one of the documents"),
    ]:
        with pytest.raises(OptionError, match=words) as caught:
            NotesFile(path, (source,))
        assert "\n" not in str(caught.value)


EVIL = "![a](https:\\\\evil.example\\p.png) <img src=x>"


def test_a_files_name_is_no_picture_and_no_tag() -> None:
    made = Notes(EVIL, "all", [NotesPart(EVIL, 2, "text", (EVIL,))], (f"{EVIL} p. 1",))
    text = markdown(made)
    tokens = [token for block in MarkdownIt().parse(text) for token in (block, *(block.children or []))]
    assert {token.type for token in tokens} & {"image", "link_open", "html_inline", "html_block"} == set()
    shown = "".join(token.content for token in tokens if token.type in ("text", "text_special"))
    assert shown.count(EVIL) == 4


@pytest.mark.parametrize(
    "name", ["my_old_manual.pdf", "__init__.py", "_a_", "a__b.md", "*x*", "a`b`.md", "_x.md y_z_.md"]
)
def test_names_read_as_they_are(name: str) -> None:
    (inline,) = (block for block in MarkdownIt().parse(escaped(name)) if block.type == "inline")
    assert {token.type for token in inline.children or []} <= {"text", "text_special"}
    assert "".join(token.content for token in inline.children or []) == name
    assert escaped("my_old_manual.pdf") == "my_old_manual.pdf"
