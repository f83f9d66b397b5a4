"""Reports: outlines are read and proposed, sections are written from what was found, and their places are checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from edgeai.documents.types import Block, Document
from edgeai.documents.words import words
from edgeai.errors import DocumentError, OptionError
from edgeai.notes.condense import Wishes
from edgeai.notes.fixed_words import ENGLISH
from edgeai.notes.job import opened
from edgeai.notes.markdown import Notes, escaped, markdown
from edgeai.notes.outline import Outline, OutlineSection, outline_of, proposed
from edgeai.notes.report import filled, report
from edgeai.notes.shelf import Shelf
from edgeai.notes.steps import Step
from edgeai.session import Session
from tests.notes.readers import MarkReader

WISHES = Wishes(80, "")
PUMP = "The pump stops by itself when the tank is empty. Press the red key for five seconds to start it again."
LAMP = "The lamp above the door burns green while the press may be opened. A broken lamp must be replaced at once."


def manual(pages: dict[int, str], name: str = "manual.pdf") -> Document:
    blocks = []
    for page, text in pages.items():
        heading = f"Chapter {page}"
        blocks += [Block(heading, "heading", page), Block(text, page=page, headings=(heading,))]
    return Document(Path("/made") / name, "pdf", "The manual", name, tuple(blocks), n_pages=max(pages))


def outline(*sections: OutlineSection) -> Outline:
    return Outline("The press", sections)


def write(backend: MarkReader, what: Outline | str, *documents: Document, n_answers: int = 0) -> Notes:
    with Session(backend=backend) as session, opened(session, documents, {}, {}) as job:
        with filled(job.journal.folder / "library", documents) as library:
            shelf = Shelf(library)

            def work(ask: object) -> Notes:
                made = proposed(what, documents, shelf, ask, "") if isinstance(what, str) else what  # type: ignore[arg-type]
                return report(session, shelf, made, ask, WISHES)  # type: ignore[arg-type]

            plan = job.plan(work)
            notes = work(job.ask(lambda _progress: None))
        if not isinstance(what, str):
            assert plan.budget.n_steps == len(backend.asked)
        return notes


def markdown_document(*blocks: tuple[str, int] | str) -> Document:
    """Pairs are headings with their levels, from 0."""
    made = [
        Block(item) if isinstance(item, str) else Block(item[0], "heading", headings=("x",) * item[1])
        for item in blocks
    ]
    return Document(Path("/made/outline.md"), "markdown", "outline.md", "", tuple(made))


def test_statements_get_the_page_where_they_stand() -> None:
    backend = MarkReader()
    backend.enqueue(
        "p", "p", "The pump stops by itself when the tank is empty. Unicorns like to dance in the moonlight."
    )
    notes = write(backend, outline(OutlineSection("The pump")), manual({3: LAMP, 7: PUMP}))
    (part,) = notes.parts
    assert part.text == (
        "The pump stops by itself when the tank is empty [manual.pdf p. 7]. Unicorns like to dance in the moonlight."
    )
    assert [citation.quote in PUMP for citation in part.citations] == [True]
    assert part.places == ("manual.pdf p. 7",)
    assert markdown(notes).startswith("# The press\n\n## The pump\n\nThe pump stops")


def test_a_files_name_in_the_marks_is_no_picture() -> None:
    backend = MarkReader()
    backend.enqueue("p", "p", "The pump stops by itself when the tank is empty. Unicorns dance. Press the red key.")
    name = "![a](http:\\\\h\\p.png)"
    (part,) = write(backend, outline(OutlineSection("The pump")), manual({7: PUMP}, name)).parts
    assert len(part.citations) == 2
    for citation in part.citations:
        assert part.text is not None
        assert part.text[citation.start : citation.end] == escaped(citation.label)
    images = [token for block in MarkdownIt().parse(part.text or "") for token in block.children or []]
    assert "image" not in {token.type for token in images}
    assert "".join(token.content for token in images).count(name) == 2


def test_a_section_reads_what_is_about_it_and_nothing_else() -> None:
    documents = [manual({1: LAMP}), replace(manual({1: PUMP}, "pump.pdf"))]
    backend = MarkReader()
    write(backend, outline(OutlineSection("Lamp", instruction="When is it replaced?")), *documents)
    (prompt,) = backend.asked
    assert "A broken lamp" in prompt
    assert "red key" not in prompt
    assert "When is it replaced?" in prompt


def test_what_the_documents_do_not_say_is_not_asked() -> None:
    backend = MarkReader()
    notes = write(backend, outline(OutlineSection("Skiing in Norway")), manual({1: LAMP}))
    assert [part.text for part in notes.parts] == [ENGLISH.nothing_found]
    assert backend.asked == []


def test_an_introduction_is_about_what_the_report_is_about() -> None:
    backend = MarkReader()
    write(backend, Outline("The lamp", (OutlineSection("Introduction"),)), manual({1: LAMP, 2: PUMP}))
    assert "A broken lamp" in backend.asked[0]


def test_long_passages_are_cut_for_a_small_window() -> None:
    backend = MarkReader(1300)
    notes = write(backend, outline(OutlineSection("Lamp")), manual({1: "The lamp and more of it. " * 200}))
    assert notes.parts[0].text != ENGLISH.nothing_found
    for request in backend.requests:
        assert len(request.tokens) + (request.sampling.max_tokens or 0) <= 1300


def test_an_instruction_that_no_window_holds_is_told() -> None:
    section = OutlineSection("Lamp", instruction="word " * 2000)
    with pytest.raises(OptionError, match="'Lamp': what is to be written has"):
        write(MarkReader(), outline(section), manual({1: LAMP}))


def test_an_outline_is_its_headings_and_the_texts_under_them() -> None:
    found = outline_of(
        markdown_document(("Press", 0), "For all.", ("Safety", 1), ("Gloves", 2), "Which?", ("Goggles", 2), ("Use", 1))
    )
    assert found == Outline(
        "Press",
        (
            OutlineSection("Safety", 2, "", False),
            OutlineSection("Gloves", 3, "Which?", True),
            OutlineSection("Goggles", 3),
            OutlineSection("Use", 2),
        ),
        "For all.",
    )
    assert outline_of(markdown_document(("A", 1), ("B", 1))).title == "outline"


def test_what_is_no_outline_is_told() -> None:
    with pytest.raises(DocumentError, match="expected an outline with Markdown headings"):
        outline_of(markdown_document("Only text."))
    with pytest.raises(DocumentError, match="201 headings: expected at most 200"):
        outline_of(markdown_document(*((f"H{number}", 1) for number in range(201))))


@pytest.mark.parametrize(
    ("answer", "headings"),
    [
        ("1. The pump\n2) **Empty tank**\n- Green lamp\n", ["The pump", "Empty tank", "Green lamp"]),
        ("Here are the headings:\n# 1. Pump\n# 2. Tank\n# 3. Lamp\n# 3. Lamp", ["Pump", "Tank", "Lamp"]),
        ("", ["Chapter 7", "Chapter 3"]),
        ("Blue unicorns dance\nGalactic empire\nMoonlight sonata\n", ["Chapter 7", "Chapter 3"]),
        ("pump pump pump " * 40, ["Chapter 7", "Chapter 3"]),
    ],
)
def test_a_topic_gets_the_models_headings_or_those_of_the_documents(
    tmp_path: Path, answer: str, headings: list[str]
) -> None:
    documents = [manual({3: LAMP, 7: PUMP})]
    with filled(tmp_path, documents) as library:

        def ask(step: Step) -> str:
            return answer or step.instead

        found = proposed("the pump", documents, Shelf(library), ask, "")
    assert found.title == "the pump"
    assert [section.heading for section in found.sections] == headings


def test_no_document_is_read_again_for_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split: list[str] = []

    def counted(text: str) -> list[str]:
        split.append(text)
        return words(text)

    monkeypatch.setattr("edgeai.notes.outline.words", counted)
    documents = [manual({3: LAMP, 7: PUMP})]
    with filled(tmp_path, documents) as library:
        made = proposed("the press", documents, Shelf(library), lambda _step: "Pump\nTank\nLamp\nポンプ\n電源", "")
    assert [section.heading for section in made.sections] == ["Pump", "Tank", "Lamp"]
    assert not [text for text in split if text in (LAMP, PUMP)]


def test_a_topic_is_written_about() -> None:
    backend = MarkReader()
    backend.enqueue("p", "p", "Pump\nLamp\nTank\n", "The pump stops by itself when the tank is empty.")
    notes = write(backend, "the press", manual({3: LAMP, 7: PUMP}))
    assert [part.heading for part in notes.parts] == ["Pump", "Lamp", "Tank"]
    assert notes.parts[0].places == ("manual.pdf p. 7",)
