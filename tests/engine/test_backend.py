"""A session whose engine runs in a process of its own: the same answers, and crashes and hangs that become errors."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeai import EngineCrashedError, GenerationError, ModelFormatError, OptionError, Session, SessionClosedError
from edgeai.backends.base import Finished, GenerateRequest, PrefillProgress
from edgeai.options import SamplingOptions
from tests.engine.children import engine, impostor, is_gone, open_files, wait_for
from tests.tiny import KINDS, Kind, tiny_model

LONG: dict[str, Any] = {"max_tokens": 3900, "temperature": 0}  # on a busy machine it must not end before it is ended
TEXT = "A question that is long enough to be read in several pieces. " * 4


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf", n_ctx_train=4096)


@pytest.fixture
def session(model: Path) -> Iterator[Session]:
    with Session(model, n_threads=1, n_batch=32) as session:
        yield session


@pytest.mark.parametrize("kind", KINDS)
def test_it_answers_as_the_engine_inside_does(kind: Kind, tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "model.gguf", kind)
    turns = []
    for isolation in ("process", "none"):
        with Session(path, n_threads=1, isolation=isolation) as session:
            first = session.chat("Hello", temperature=0, max_tokens=20)
            second = session.chat("日本語?", temperature=0.8, seed=3, max_tokens=20)
            turns.append([first.text, second.text, first.usage, second.usage, session.n_evaluated, session.messages])
            assert session.info.n_ctx == 512
            assert session.count_tokens(TEXT) > 40
    assert turns[0] == turns[1]


def test_progress_is_told_in_pieces(model: Path) -> None:
    shares: list[float] = []
    progress: list[PrefillProgress] = []
    with Session(model, n_threads=1, n_batch=32, on_load_progress=shares.append) as session:
        response = session.chat(TEXT, on_progress=progress.append, max_tokens=3)
        assert response.finish_reason == "length"
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert [step.n_done for step in progress] == sorted({step.n_done for step in progress})
    assert len(progress) > 4
    assert progress[-1].n_done == progress[-1].n_total == response.usage.prompt_tokens


def test_the_engine_is_another_process_and_this_one_maps_no_model(session: Session, model: Path) -> None:
    assert engine(session).pid != os.getpid()
    if Path("/proc/self/maps").exists():
        assert str(model) not in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL, signal.SIGBUS])
def test_a_crash_is_an_error_and_the_next_call_goes_on(session: Session, number: signal.Signals) -> None:
    before = session.chat("Hello", temperature=0, max_tokens=5).text
    crashed = engine(session).pid
    response = session.chat("More", **LONG)
    wait_for(lambda: response.n_tokens > 3)
    os.kill(crashed, number)
    with pytest.raises(EngineCrashedError) as caught:
        response.text  # noqa: B018
    assert caught.value.signal == number.name
    assert caught.value.doing.startswith("writing token ")
    assert number.name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert response.partial_text
    assert [message.content for message in session.messages] == ["Hello", before]
    assert is_gone(crashed)
    assert session.n_evaluated == 0
    again = session.chat("More", temperature=0, max_tokens=5)
    assert again.text
    assert again.usage.cached_tokens == 0
    assert engine(session).pid != crashed
    assert len(session.messages) == 4


def test_the_answer_after_a_crash_is_the_one_without(model: Path) -> None:
    texts = []
    for crash in (False, True):
        with Session(model, n_threads=1, n_batch=32) as session:
            session.chat("Hello", temperature=0, max_tokens=8).wait()
            if crash:
                os.kill(engine(session).pid, signal.SIGKILL)
            texts.append(session.chat("And now?", temperature=0, max_tokens=12).text)
    assert texts[0] == texts[1]


def test_an_engine_that_dies_while_idle_is_reaped_and_replaced(session: Session) -> None:
    pid = engine(session).pid
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: is_gone(pid))
    assert session.count_tokens("Hello") > 0
    assert engine(session).pid != pid


def test_a_crash_while_the_prompt_is_read_says_so(session: Session) -> None:
    pid = engine(session).pid
    response = session.chat(TEXT, on_progress=lambda step: os.kill(pid, signal.SIGKILL), max_tokens=3)
    with pytest.raises(EngineCrashedError, match=r"reading the prompt|writing token 1"):
        response.text  # noqa: B018


def test_no_progress_for_too_long_is_an_error(model: Path) -> None:
    with Session(model, n_threads=1, watchdog_s=1.5) as session:
        response = session.chat("Hello", **LONG)
        wait_for(lambda: response.n_tokens > 3)
        os.kill(engine(session).pid, signal.SIGSTOP)
        with pytest.raises(EngineCrashedError, match="no progress for") as caught:
            response.text  # noqa: B018
        assert caught.value.hung_s == 1.5
        assert session.chat("Hello", max_tokens=3, temperature=0).text is not None


def test_who_reads_slowly_is_not_taken_for_a_hang(model: Path) -> None:
    with Session(model, n_threads=1, n_batch=32, watchdog_s=0.3) as session:
        response = session.chat(TEXT, on_progress=lambda step: time.sleep(0.5), max_tokens=3)
        assert response.finish_reason == "length"


def test_cancelling_is_polite_and_keeps_the_engine(session: Session) -> None:
    pid = engine(session).pid
    response = session.chat("Hello", **LONG)
    wait_for(lambda: response.n_tokens > 3)
    response.cancel()
    assert response.finish_reason == "cancelled"
    assert response.n_tokens < 3900
    again = session.chat("More", max_tokens=3)
    assert again.usage.cached_tokens > 10
    assert engine(session).pid == pid


def test_an_engine_that_does_not_stop_is_ended(session: Session) -> None:
    pid = engine(session).pid
    response = session.chat("Hello", **LONG)
    wait_for(lambda: response.n_tokens > 3)
    os.kill(pid, signal.SIGSTOP)
    started = time.monotonic()
    response.cancel()
    assert response.finish_reason == "cancelled"
    assert time.monotonic() - started < 5
    assert response.text
    assert session.messages[-1].content == response.text
    assert is_gone(pid)
    assert session.chat("More", max_tokens=3, temperature=0).finish_reason == "length"


def test_cancelling_before_anything_is_read(session: Session) -> None:
    for _ in range(20):
        session.reset()  # one may have got some words out, which stay in the conversation
        response = session.chat(TEXT, **LONG)
        response.cancel()
        assert response.finish_reason in ("cancelled", "context_full")  # on a busy machine one may have come to its end
    session.reset()
    assert session.chat("Hello", max_tokens=2).finish_reason == "length"


def test_a_generation_that_is_given_up_leaves_the_pipe_clean(session: Session) -> None:
    backend = engine(session)
    request = GenerateRequest(backend.tokenize(TEXT), SamplingOptions(temperature=0, max_tokens=300))
    events = backend.generate(request)
    next(events)
    next(events)
    events.close()  # type: ignore[attr-defined]
    whole = list(backend.generate(GenerateRequest(backend.tokenize("Hi"), SamplingOptions(max_tokens=2))))
    assert isinstance(whole[-1], Finished)
    assert whole[-1].usage.completion_tokens == 2


def test_an_error_of_the_engine_is_the_same_error_here(session: Session) -> None:
    backend = engine(session)
    with pytest.raises(GenerationError, match="expected 1 to 4,095"):
        list(backend.generate(GenerateRequest([1] * 4096)))
    assert backend.tokenize("still there")


def test_asking_from_within_a_progress_callback_is_an_error_and_no_deadlock(session: Session) -> None:
    errors: list[BaseException] = []

    def on_progress(step: PrefillProgress) -> None:
        try:
            session.count_tokens("Hello")
        except GenerationError as exc:
            errors.append(exc)

    assert session.chat("Hello", on_progress=on_progress, max_tokens=3).finish_reason == "length"
    assert "progress callback" in str(errors[0])
    assert session.count_tokens("Hello") > 0


def test_a_callback_that_raises_while_loading_leaves_nothing(model: Path) -> None:
    def on_load_progress(share: float) -> None:
        raise ValueError("mine")

    n_before = open_files()
    with pytest.raises(ValueError, match="mine"):
        Session(model, on_load_progress=on_load_progress)
    wait_for(lambda: open_files() <= n_before)


def test_text_with_lone_surrogates_passes(session: Session) -> None:
    assert session.count_tokens("a\ud800b") == session.count_tokens("a?b")
    assert session.complete("a\ud800", stop=["\ud800"], max_tokens=2).finish_reason in ("length", "stop")


def test_closing_while_it_writes_ends_it_and_leaves_nothing(model: Path) -> None:
    n_before = open_files()
    session = Session(model, n_threads=1)
    pid = engine(session).pid
    response = session.chat("Hello", **LONG)
    wait_for(lambda: response.n_tokens > 1)
    session.close()
    session.close()
    assert response.finish_reason == "cancelled"
    assert is_gone(pid)
    with pytest.raises(SessionClosedError):
        session.chat("More")
    with pytest.raises(SessionClosedError):
        session.count_tokens("More")
    wait_for(lambda: open_files() <= n_before)


def test_a_session_that_is_forgotten_takes_its_engine_along(model: Path) -> None:
    session = Session(model, n_threads=1)
    pid = engine(session).pid
    del session
    gc.collect()
    wait_for(lambda: is_gone(pid))
    assert is_gone(pid)


def test_a_session_opened_in_a_thread_outlives_it(model: Path) -> None:
    opened: list[Session] = []
    thread = threading.Thread(target=lambda: opened.append(Session(model, n_threads=1)))
    thread.start()
    thread.join()
    time.sleep(0.2)
    with opened[0] as session:
        pid = engine(session).pid
        assert session.chat("Hello", max_tokens=3).finish_reason == "length"
        assert engine(session).pid == pid


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_neither_uses_nor_ends_the_engine(session: Session) -> None:
    pid = os.fork()
    if not pid:
        try:
            session.count_tokens("Hello")
        except GenerationError:
            session.close()
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert session.chat("Hello", max_tokens=3).finish_reason == "length"


def test_a_file_that_changed_is_not_loaded_again_unseen(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "model.gguf")
    with Session(path, n_threads=1) as session:
        tiny_model(tmp_path / "other.gguf", seed=1).replace(path)
        os.kill(engine(session).pid, signal.SIGKILL)
        wait_for(lambda: not engine(session)._link.process.is_alive)
        with pytest.raises(GenerationError, match="changed"):
            session.chat("Hello")


@pytest.mark.parametrize(
    "code",
    [
        "loaded(); tokenized(); asked(); raw(b'\\xff\\xff\\xff\\xff')",
        "loaded(); tokenized(); asked(); raw(b'\\x05\\0\\0\\0hello')",
        "loaded(); tokenized(); asked(); pipe.send(Written('x', 5000))",
        "loaded(); tokenized(); asked(); pipe.send(Read(3, 3, 0)); [pipe.send(Written('x', n)) for n in (2, 1)]",
        "loaded(); tokenized(); asked(); pipe.send(Read(7, 3, 0))",
        "loaded(); tokenized(); asked(); pipe.send(Ended('stop', Usage(), Timings(), (100,), 1))",
        "loaded(); tokenized(); asked(); pipe.send(Ended('stop', Usage(-3), Timings(), (), 1))",
        "loaded(); tokenized(); asked(); pipe.send(Tokens([1]))",
        "loaded(); tokenized(); asked(); pipe.send(Saved('x.state'))",
        "loaded(); tokenized(); asked()\nwhile True: pipe.send(Read(1, 3, 0))",
        "loaded(); tokenized(); asked(); pipe.send(Read(3, 3, 0))\nwhile True: pipe.send(Written('', 1))",
        "loaded(); pipe.receive(); pipe.send(Text('not tokens'))",
        "loaded(); pipe.receive(); raw((1000001).to_bytes(4, 'little') + b'\\x91' * 1000001)",
    ],
)
def test_an_engine_that_sends_nonsense_is_ended(code: str, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    impostor(monkeypatch, code + "\nimport time; time.sleep(60)")
    with Session(model, chat_template="plain") as session:
        pid = engine(session).pid
        with pytest.raises(EngineCrashedError, match="sent what cannot be"):
            session.complete("Hello").text  # noqa: B018
        assert is_gone(pid)


def test_an_error_of_the_engine_is_one_plain_short_line(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    impostor(monkeypatch, "pipe.receive(); pipe.send(Failed('ModelFormatError', 'a\\x1b[2Jb\\nc' + 'x' * 100_000))")
    with pytest.raises(ModelFormatError, match=r"^ab cx+$") as caught:
        Session(model)
    assert len(str(caught.value)) <= 2000


def test_an_engine_that_never_ends_loading_is_ended(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    impostor(monkeypatch, "pipe.receive()\nwhile True: pipe.send(Loading(0.5))")
    with pytest.raises(EngineCrashedError, match=r"sent what cannot be .*loading"):
        Session(model)


def test_a_flood_of_log_lines_is_kept_short_and_plain(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    impostor(
        monkeypatch,
        "loaded(); tokenized(); asked()\n"
        "for n in range(2000): print('\\x1b[2J', n, 'x' * 10_000, file=sys.stderr)\n"
        "print('the last line', file=sys.stderr, flush=True); import os; os.abort()",
    )
    with Session(model, chat_template="plain") as session:
        with pytest.raises(EngineCrashedError, match=r"SIGABRT.*its last words: the last line") as caught:
            session.complete("Hello").text  # noqa: B018
        assert caught.value.log[-1] == "the last line"
        assert len(caught.value.log) <= 20
        assert all("\x1b" not in line and len(line) <= 500 for line in caught.value.log)


def test_the_engine_sees_no_secrets_and_no_descriptors(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hidden")
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    monkeypatch.setenv("OMP_PROC_BIND", "true")
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    impostor(
        monkeypatch,
        "import os; pipe.receive(); pipe.send(Failed('ModelError', repr((sorted(os.environ), os.getcwd(),"
        " [n for n in range(3, 64) if os.path.exists(f'/proc/self/fd/{n}')]))))",
    )
    from edgeai import ModelError

    with pytest.raises(ModelError) as caught:
        Session(model)
    os.close(reader)
    os.close(writer)
    names, folder, descriptors = eval(str(caught.value))
    assert "SECRET_TOKEN" not in names
    assert "HOME" not in names
    assert "OMP_WAIT_POLICY" in names
    assert "OMP_PROC_BIND" not in names
    assert folder == "/"
    assert len(descriptors) <= 1  # the folder that is being listed


@pytest.mark.parametrize(
    "options", [{"isolation": "thread"}, {"watchdog_s": 0}, {"watchdog_s": "no"}, {"retry_crashed": 1}]
)
def test_options_that_make_no_sense(options: dict[str, Any], model: Path) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        Session(model, **options)
