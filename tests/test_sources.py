"""Documents in a session, whole or by their passages: what stands in the prompt, and what the answer cites."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from edgeai import ContextOverflowError, OptionError, Session
from edgeai.documents import embedders
from edgeai.documents.library import Library
from edgeai.documents.types import Block, Document
from edgeai.errors import DocumentError
from edgeai.messages import Message
from tests.documents.test_vectors import FakeEmbedder
from tests.fakes import FakeBackend

FILL = "The weather in the valley was mild and the road was long. "  # what nobody asks for


def manual(n_pages: int = 40, name: str = "manual.pdf") -> Document:
    """Each page says one thing of its own; page 7 and page 8 say how the kettle and the lamp are used."""
    said = {
        7: "To descale the kettle, boil vinegar for twelve minutes.",
        8: "The lamp is lit with a match.",
        30: "電源ボタンを10秒間長押しすると、装置は初期化されます。",
    }
    blocks = tuple(Block(f"{FILL * 4}{said.get(page, '')}", page=page) for page in range(1, n_pages + 1))
    return Document(Path(f"/shelf/{name}"), "pdf", name, f"{name}{n_pages}", blocks, n_pages=n_pages)


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(n_ctx=4096)  # a token is a character: 40 pages of some 250 do not fit


@pytest.fixture
def session(backend: FakeBackend) -> Iterator[Session]:
    with Session(backend=backend) as session:
        yield session


def last_prompt(backend: FakeBackend) -> str:
    return backend.detokenize(backend.requests[-1].tokens)


def test_what_fits_stands_whole_before_the_conversation(session: Session, backend: FakeBackend) -> None:
    backend.enqueue("Boil vinegar in the kettle for twelve minutes.")
    response = session.chat("How do I descale the kettle?", documents=[manual(8)])
    assert response.text == "Boil vinegar in the kettle for twelve minutes [manual.pdf p. 7]."
    prompt = last_prompt(backend)
    assert prompt.count("[p. ") == 8
    assert prompt.index("[p. 8]") < prompt.index("How do I descale")
    (citation,) = response.citations
    assert (citation.page, citation.quote) == (7, "To descale the kettle, boil vinegar for twelve minutes.")


def test_of_what_does_not_fit_the_best_passages_stand_before_the_question(
    session: Session, backend: FakeBackend
) -> None:
    backend.enqueue("Vinegar is boiled for twelve minutes.", "With a match, the lamp is lit.")
    first = session.chat("How do I descale the kettle?", documents=[manual()])
    assert first.text == "Vinegar is boiled for twelve minutes [manual.pdf p. 7]."
    prompt = last_prompt(backend)
    assert len(prompt) < backend.info.n_ctx
    user = prompt[prompt.index("<|im_start|>user") :]
    assert '<document name="manual.pdf">\n[p. 7]' in user
    assert user.index("boil vinegar") < user.index("How do I descale")
    second = session.chat("How is the lamp lit?")
    assert [citation.page for citation in second.citations] == [8]
    prompt = last_prompt(backend)
    assert "boil vinegar" not in prompt  # the passages of an earlier question have gone, its answer has not
    assert "Vinegar is boiled for twelve minutes." in prompt  # as the model wrote it
    assert session.messages[0] == Message("user", "How do I descale the kettle?")


def test_a_question_that_says_little_is_searched_with_the_one_before(session: Session, backend: FakeBackend) -> None:
    backend.enqueue("Boil vinegar.", "Twelve minutes.")
    session.chat("How do I descale the kettle?", documents=[manual()]).wait()
    assert session.chat("For how long?").text == "Twelve minutes [manual.pdf p. 7]."


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Who invented the telephone?", "The documents hold nothing about this."),
        ("富士山の高さはどれくらいですか。", "これについての記述は、文書の中に見つかりませんでした。"),
    ],
)
def test_where_nothing_is_found_the_model_is_not_asked(
    session: Session, backend: FakeBackend, question: str, answer: str
) -> None:
    response = session.chat(question, documents=[manual()])
    assert "".join(response) == response.text == answer
    assert response.finish_reason == "stop"
    assert response.citations == ()
    assert backend.requests == []
    assert session.messages[-1] == Message("assistant", answer)


def test_a_library_is_searched_and_left_open(session: Session, backend: FakeBackend, tmp_path: Path) -> None:
    with Library(tmp_path / "library") as library, Library(tmp_path / "other") as other:
        library.add(manual())
        other.add(manual(3, "other.pdf"))
        backend.enqueue("装置は電源ボタンを10秒間長押しすると初期化されます。")
        response = session.chat("装置を初期化するには?", documents=[library, other])
        assert response.text == "装置は電源ボタンを10秒間長押しすると初期化されます [manual.pdf p. 30]。"
        assert session.documents == (library, other)
        session.close()
        assert library.search("kettle")


@pytest.mark.parametrize("thanks", ["Thanks a lot!", "Summarize it.", "ありがとう", "And in short?"])
def test_what_looks_for_nothing_is_said_to_the_model(session: Session, backend: FakeBackend, thanks: str) -> None:
    backend.enqueue("Boil vinegar in the kettle for twelve minutes.", "You are welcome.")
    session.chat("How do I descale the kettle?", documents=[manual()]).wait()
    assert session.chat(thanks).text == "You are welcome."
    assert "<document" not in last_prompt(backend)


def test_a_first_message_that_looks_for_nothing_gets_how_the_documents_begin(
    session: Session, backend: FakeBackend
) -> None:
    session.chat("What is this document about?", documents=[manual(), manual(50, "other.pdf")]).wait()
    prompt = last_prompt(backend)
    assert [name in prompt for name in ('"manual.pdf">\n[p. 1]', '"other.pdf">\n[p. 1]', "[p. 30]")] == [
        True,
        True,
        False,
    ]


def test_a_follow_up_without_a_word_of_its_own_is_searched_with_the_question_before(
    session: Session, backend: FakeBackend
) -> None:
    session.chat("How do I descale the kettle?", documents=[manual()]).wait()
    session.chat("And why?").wait()
    assert "boil vinegar" in last_prompt(backend)


def test_passages_far_behind_the_best_are_left_out(session: Session, backend: FakeBackend) -> None:
    session.chat("How do I descale the kettle with vinegar on the road?", documents=[manual()]).wait()
    assert last_prompt(backend).count("<document name") == 1


def test_a_library_is_greeted_but_not_summarized_from_nothing(
    session: Session, backend: FakeBackend, tmp_path: Path
) -> None:
    with Library(tmp_path / "library") as library:
        library.add(manual())
        assert session.chat("Summarize", documents=[library]).text == "The documents hold nothing about this."
        session.reset()
        backend.enqueue("Hello to you.")
        assert session.chat("Hello!", documents=[library]).text == "Hello to you."


@pytest.mark.parametrize("request_", ["Give me an overview.", "tl;dr", "概要を教えて", "このファイルは何ですか?"])
def test_a_request_for_the_whole_is_not_a_search(session: Session, backend: FakeBackend, request_: str) -> None:
    session.chat(request_, documents=[manual()]).wait()
    assert '"manual.pdf">\n[p. 1]' in last_prompt(backend)


@pytest.mark.parametrize("question", ["What is the capital of France?", "富士山の高さはどれくらいですか。"])
def test_a_whole_document_that_has_no_word_of_a_question_is_silent_too(
    session: Session, backend: FakeBackend, question: str
) -> None:
    document = manual(8) if question.isascii() else manual_in_japanese()
    assert session.chat(question, documents=[document]).text in (
        "The documents hold nothing about this.",
        "これについての記述は、文書の中に見つかりませんでした。",
    )
    assert backend.requests == []
    session.chat("電池はどうやって替えますか。" if question.isascii() else "How is it cleaned?").wait()
    assert len(backend.requests) == 1  # another language may well be about the same


def manual_in_japanese() -> Document:
    block = Block("電池は裏のふたを開けて替えます。")
    return Document(Path("/shelf/ja.md"), "markdown", "取扱説明書", "ja", (block,))


def test_json_is_never_replaced_by_a_sentence(session: Session, backend: FakeBackend) -> None:
    with pytest.raises(DocumentError, match="the documents hold nothing about this question"):
        _ = session.chat("Who invented the telephone?", documents=[manual()], response_format={"type": "string"}).parsed
    assert backend.requests == []


def test_passages_fit_with_all_that_stands_around_them(backend: FakeBackend) -> None:
    shelf = [
        Document(Path(f"/shelf/{'n' * 60}{n}.txt"), "text", "t", f"{n}", (Block(f"Kettle number {n} boils."),))
        for n in range(60)
    ]
    for n_ctx in (1500, 3000):
        backend = FakeBackend(n_ctx=n_ctx)
        with Session(backend=backend) as session:
            session.chat("Which kettle boils?", documents=shelf).wait()
            assert len(last_prompt(backend)) <= n_ctx - 256
            assert last_prompt(backend).count("<document name=") > 2


def test_turns_that_fit_beside_the_passages_stay(session: Session, backend: FakeBackend) -> None:
    session.documents = [manual(18)]  # somewhat longer than the window: it is tried whole first
    for _ in range(8):
        session.chat("How mild was the weather in the valley?", overflow="trim").wait()
    n_kept = last_prompt(backend).count("<|im_start|>user")
    assert n_kept > 3
    assert len(last_prompt(backend)) > 0.6 * backend.info.n_ctx


def test_documents_that_are_assigned_while_a_question_waits_stay(backend: FakeBackend) -> None:
    with Session(backend=backend) as session:
        backend.gate.clear()
        session.chat("Hello")
        waiting = threading.Thread(target=session.chat, args=("And again",))
        waiting.start()
        time.sleep(0.1)
        session.documents = [manual(8)]
        backend.gate.set()
        waiting.join()
        assert session.documents == (manual(8),)


def test_one_document_instead_of_a_list_is_told(session: Session) -> None:
    with pytest.raises(OptionError, match=r"expected a list of them, documents=\[document\]"):
        session.chat("How?", documents=manual())  # type: ignore[arg-type]


def test_a_long_conversation_leaves_room_for_passages_or_says_that_it_does_not(
    session: Session, backend: FakeBackend
) -> None:
    session.documents = [manual()]
    session.messages = [Message("user", "x" * 1900), Message("assistant", "y" * 1900)]
    with pytest.raises(ContextOverflowError):
        session.chat("How do I descale the kettle?")
    response = session.chat("How do I descale the kettle?", overflow="trim")
    response.wait()
    assert len(response.dropped) == 2
    assert "boil vinegar" in last_prompt(backend)


def test_an_answer_that_must_be_json_gets_no_marks(session: Session, backend: FakeBackend) -> None:
    backend.enqueue('"Boil vinegar in the kettle for twelve minutes."')
    response = session.chat("How do I descale the kettle?", documents=[manual(8)], response_format={"type": "string"})
    assert response.parsed == "Boil vinegar in the kettle for twelve minutes."
    assert response.citations == ()


def test_something_else_than_documents_is_refused(session: Session) -> None:
    with pytest.raises(OptionError, match=r"documents holds a str: expected what load_document\(\) gives"):
        session.chat("How?", documents=["manual.pdf"])  # type: ignore[list-item]


def test_what_was_written_to_search_in_goes_with_the_session(
    session: Session, backend: FakeBackend, home: Path
) -> None:
    session.chat("How do I descale the kettle?", documents=[manual()]).wait()
    (folder,) = (home / "cache" / "documents").iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    session.close()
    assert list((home / "cache" / "documents").iterdir()) == []


def test_a_library_that_was_embedded_is_searched_by_meaning_too(
    session: Session, backend: FakeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = FakeEmbedder("fake")
    monkeypatch.setattr(embedders, "open_embedder", lambda source: {"here": embedder}[source])
    with Library(tmp_path / "library") as library:
        library.add(manual())
        assert embedders.embedder_of(library) is None
        library.embed_pending(embedder)
        library.remember_embedder("fake", "here")
        assert embedders.embedder_of(library) is embedder
        asked = list[str]()
        vectors = embedder.embed_query

        def noted(texts: Sequence[str]) -> Any:
            asked.extend(texts)
            return vectors(texts)

        monkeypatch.setattr(embedder, "embed_query", noted)
        session.chat("How do I descale the kettle?", documents=[library]).wait()
        assert asked == ["How do I descale the kettle?"]
        library.remember_embedder("fake", "moved")
        monkeypatch.setattr(embedders, "open_embedder", lambda _source: FakeEmbedder("another"))
        assert embedders.embedder_of(library) is None
