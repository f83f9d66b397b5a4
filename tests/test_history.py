"""Conversations: what is stored, how branches are told apart, and what is left after every kind of failure."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from edgeai.errors import HistoryError
from edgeai.history import Conversation, History, StoredMessage, to_messages
from edgeai.history_owner import is_alive, this_process
from edgeai.history_types import title_from
from edgeai.messages import Message


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "history.db"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    with History(path) as history:
        yield history


def turn(history: History, conversation_id: str, parent_id: int | None, question: str, answer: str) -> int:
    _, assistant_id = history.begin_turn(conversation_id, parent_id, question)
    history.finish_turn(assistant_id, answer)
    return assistant_id


def contents(history: History, conversation_id: str) -> list[str]:
    return [message.content for message in history.path(conversation_id)]


# --- conversations ---


def test_a_turn_is_read_back_by_another_instance(history: History, path: Path) -> None:
    conversation = history.create(model="m", settings='{"temperature": 0.2}')
    _, answer = history.begin_turn(conversation.id, None, "Hello 日本 \x00 \ud83d\nline two")
    history.finish_turn(answer, "Hi", stats={"completion_tokens": 1})
    with History(path) as other:
        user, assistant = other.path(conversation.id)
        stored = other.get(conversation.id)
    assert (user.role, user.content, user.status) == ("user", "Hello 日本 \x00 ?\nline two", "complete")
    assert (assistant.role, assistant.content, assistant.status) == ("assistant", "Hi", "complete")
    assert assistant.stats == {"completion_tokens": 1}
    assert (stored.model, stored.settings, stored.n_messages) == ("m", '{"temperature": 0.2}', 2)
    assert stored.head == assistant.id


def test_the_default_file_is_in_the_users_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEAI_HOME", str(tmp_path / "home"))
    with History() as history:
        assert history.file_path == tmp_path / "home" / "history.db"


def test_a_store_in_memory_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with History(":memory:") as history:
        id = history.create().id
        turn(history, id, None, "q", "a")
        assert contents(history, id) == ["q", "a"]
    assert list(tmp_path.iterdir()) == []


def test_only_the_owner_can_read(history: History, path: Path) -> None:
    turn(history, history.create().id, None, "q", "a")
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {
        "history.db": 0o600,
        "history.db-wal": 0o600,
        "history.db-shm": 0o600,
    }


def test_commits_are_synchronised_with_the_disk(history: History) -> None:
    history.save_partial(1, "x")
    assert history._db.read("PRAGMA synchronous") == [(2,)]
    assert history._db.read("PRAGMA journal_mode") == [("wal",)]


def test_titles_come_from_the_first_message(history: History) -> None:
    conversation = history.create()
    parent = turn(history, conversation.id, None, "\n  How   are you?\nFine", "a")
    turn(history, conversation.id, parent, "Another question", "b")
    assert history.get(conversation.id).title == "How are you?"
    history.update(conversation.id, title="Renamed")
    assert history.get(conversation.id).title == "Renamed"
    assert len(title_from("x" * 1000)) == 60


def test_the_last_changed_conversation_is_listed_first(history: History) -> None:
    first, second = history.create(title="1"), history.create(title="2")
    turn(history, first.id, None, "q", "a")
    assert [conversation.id for conversation in history.conversations()] == [first.id, second.id]
    assert [conversation.n_messages for conversation in history.conversations()] == [2, 0]
    assert [conversation.id for conversation in history.conversations(limit=1)] == [first.id]


def test_an_id_may_be_shortened_while_it_is_the_only_one(history: History) -> None:
    ids = [history.create().id for _ in range(60)]
    assert history.get(ids[0][:7]).id == ids[0]
    first = next(id[0] for id in ids if sum(other[0] == id[0] for other in ids) > 1)
    with pytest.raises(HistoryError, match="more than one"):
        history.get(first)
    for wrong in ("", "nothere", "%", "_", "' OR 1=1 --", "\x00"):
        with pytest.raises(HistoryError, match="no conversation"):
            history.get(wrong)


def test_deleting_leaves_nothing_to_be_found(history: History) -> None:
    parents = [None, *range(1, 1200)]  # so many that a cascade along parents would recurse too deeply
    messages = [
        StoredMessage(id, "", parent, "assistant" if parent else "user", "secret", "complete", "2026-01-01")
        for id, parent in enumerate(parents, 1)
    ]
    conversation = history.insert_copy(Conversation("", "t", "m", "{}", "2026-01-01", "", 1200, 0), messages)
    assert [message.parent_id for message in history.path(conversation.id)] == parents
    kept = history.create(title="kept secret")
    history.delete(conversation.id)
    assert [hit.conversation_id for hit in history.search("secret")] == [kept.id]
    assert history._db.read("SELECT count(*) FROM messages") == [(0,)]
    for call in (
        lambda: history.delete(conversation.id),
        lambda: history.begin_turn(conversation.id, None, "q"),
        lambda: history.finish_turn(1200, "late"),
        lambda: history.update(conversation.id, title="x"),
        lambda: history.message(1),
        lambda: history.leaf_of(1),
    ):
        with pytest.raises(HistoryError, match="there is no"):
            call()


# --- branches ---


def test_editing_and_regenerating_make_branches(history: History) -> None:
    id = history.create().id
    first = turn(history, id, None, "q1", "a1")
    second = turn(history, id, first, "q2", "a2")
    edited = turn(history, id, first, "q2 edited", "a2'")
    assert contents(history, id) == ["q1", "a1", "q2 edited", "a2'"]
    assert [(message.branch, message.n_branches) for message in history.path(id)] == [(1, 1), (1, 1), (2, 2), (1, 1)]

    question = history.path(id)[2].id
    again = history.begin_answer(question)
    history.finish_turn(again, "a2''")
    assert contents(history, id)[-1] == "a2''"
    assert [message.content for message in history.siblings(again)] == ["a2'", "a2''"]
    assert [message.content for message in history.siblings(question)] == ["q2", "q2 edited"]
    assert [(message.branch, message.n_branches) for message in history.siblings(question)] == [(1, 2), (2, 2)]

    old = history.siblings(question)[0].id
    assert history.leaf_of(old) == second
    history.set_head(id, history.leaf_of(old))
    assert contents(history, id) == ["q1", "a1", "q2", "a2"]
    assert history.leaf_of(question) == again
    assert edited in [message.id for message in history.all_messages(id)]


def test_a_first_message_has_alternatives_too(history: History) -> None:
    id = history.create().id
    turn(history, id, None, "q", "a")
    turn(history, id, None, "q edited", "b")
    other = history.create().id
    turn(history, other, None, "x", "y")
    assert [message.content for message in history.siblings(history.path(id)[0].id)] == ["q", "q edited"]
    assert history.path(other)[0].n_branches == 1


def test_messages_of_another_conversation_are_refused(history: History) -> None:
    ours, theirs = history.create().id, history.create().id
    message = turn(history, theirs, None, "q", "a")
    with pytest.raises(HistoryError, match="no message"):
        history.begin_turn(ours, message, "q")
    with pytest.raises(HistoryError, match="no message"):
        history.set_head(ours, message)
    assert history.path(ours) == []


def test_a_session_gets_no_turn_without_an_answer(history: History) -> None:
    id = history.create().id
    first = turn(history, id, None, "q1", "a1")
    _, failed = history.begin_turn(id, first, "q2")
    history.finish_turn(failed, "", "error")
    turn(history, id, failed, "q3", "a3")
    texts = [Message("user", "q1"), Message("assistant", "a1"), Message("user", "q3"), Message("assistant", "a3")]
    assert to_messages(history.path(id), "be brief") == [Message("system", "be brief"), *texts]
    assert to_messages(history.path(id)[:1]) == [Message("user", "q1")]


# --- search ---


def test_search_gives_titles_then_messages_with_places(history: History) -> None:
    id = history.create().id
    answer = turn(history, id, None, "電源が入らない", "まず電池を確かめてください。")
    titled = history.create(title="電池の話")
    title_hit, hit = history.search("電池")
    assert (title_hit.conversation_id, title_hit.message_id) == (titled.id, None)
    assert (hit.conversation_id, hit.message_id, hit.role, hit.title) == (id, answer, "assistant", "電源が入らない")
    assert [hit.snippet[start:end] for start, end in hit.matches] == ["電池"]
    history.update(titled.id, title="別の話")
    assert [hit.message_id for hit in history.search("電池")] == [answer]
    assert history.search("") == []
    assert len(history.search("電", limit=1)) == 1


def test_what_is_still_being_written_is_found_when_it_is_finished(history: History) -> None:
    _, answer = history.begin_turn(history.create(title="t").id, None, "q")
    history.save_partial(answer, "needle")
    assert history.search("needle") == []
    history.finish_turn(answer, "needles")
    assert [hit.message_id for hit in history.search("needle")] == [answer]


# --- threads and processes ---


def test_threads_and_instances_share_one_file(history: History, path: Path) -> None:
    id = history.create().id
    errors: list[Exception] = []

    def write(own: History) -> None:
        try:
            for index in range(20):
                turn(own, id, None, f"q{index}", f"a{index}")
                own.path(id)
        except HistoryError as exc:
            errors.append(exc)

    with History(path) as second:
        threads = [threading.Thread(target=write, args=(own,)) for own in (history, history, second, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == []
    assert history.get(id).n_messages == 4 * 20 * 2


def test_many_processes_may_make_the_file_at_once(path: Path) -> None:
    code = "import sys; from edgeai.history import History; h = History(sys.argv[1]); h.create(); h.close()"
    processes = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(5)]
    assert [process.wait() for process in processes] == [0] * 5
    with History(path) as history:
        assert len(history.conversations()) == 5


WRITER = """
import sys
from edgeai.history import History
with History(sys.argv[1]) as history:
    id = history.create().id
    parent = None
    while True:
        user, assistant = history.begin_turn(id, parent, f"question {parent}")
        for length in range(3):
            history.save_partial(assistant, "word " * length)
        history.finish_turn(assistant, f"answer {assistant} " + "text " * 50)
        print(id, assistant, flush=True)
        parent = assistant
"""


def test_kill_9_loses_at_most_the_turn_being_made(path: Path) -> None:
    rng, finished, n_interrupted = random.Random(7), list[tuple[str, int]](), 0
    for _ in range(20):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            first = writer.stdout.readline()
            time.sleep(rng.uniform(0, 0.05))
            writer.kill()
            lines = (first + writer.stdout.read()).splitlines(keepends=True)
        finished += [(id, int(number)) for id, number in (line.split() for line in lines if line.endswith("\n"))]
        with History(path) as history:
            interrupted = history.recover()
            assert len(interrupted) <= 1
            n_interrupted += len(interrupted)
            assert history.recover() == []
    with History(path) as history:
        for id, number in finished:
            message = history.message(number)
            assert (message.conversation_id, message.status) == (id, "complete")
            assert message.content.startswith(f"answer {number} ")
        statuses = [message.status for c in history.conversations() for message in history.path(c.id)]
        assert "generating" not in statuses
        assert statuses.count("interrupted") == n_interrupted
        assert history._db.read("PRAGMA integrity_check") == [("ok",)]
    assert len(finished) >= 20
    assert n_interrupted >= 5


def test_recovery_keeps_the_users_text_and_what_was_saved(path: Path) -> None:
    code = """
import os, sys
from edgeai.history import History
history = History(sys.argv[1])
_, answer = history.begin_turn(history.create().id, None, "my long question")
history.save_partial(answer, "The beginning of")
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    with History(path) as history:
        (lost,) = history.recover()
        assert (lost.status, lost.content) == ("interrupted", "The beginning of")
        assert contents(history, lost.conversation_id) == ["my long question", "The beginning of"]
        assert [hit.message_id for hit in history.search("beginning")] == [lost.id]


def test_the_turn_of_a_running_instance_is_left_alone(history: History, path: Path) -> None:
    _, answer = history.begin_turn(history.create().id, None, "q")
    code = "import sys; from edgeai.history import History; h = History(sys.argv[1]); print(h.recover()); h.close()"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert history.message(answer).status == "generating"


def test_an_owner_is_a_process_and_its_start() -> None:
    assert is_alive(this_process())
    pid = os.getpid()
    assert not is_alive(f"{pid} {psutil.Process().create_time() - 3600}")
    for nobody in (None, "", "x y", "-1 0", f"{2**70} 0", f"{2**22 - 1} 0"):
        assert not is_alive(nobody)
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        owner = f"{child.pid} {psutil.Process(child.pid).create_time()}"
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, but not yet collected
        assert not is_alive(owner)


# --- bad files ---


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be read as one" * 40, b"SQLite format 3\x00" * 99]
)
def test_a_damaged_file_is_reported_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "history.db"
    path.write_bytes(content)
    with pytest.raises(HistoryError, match=r"history\.db.* damaged .*file is not a database") as caught:
        History(path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


def test_damage_inside_is_reported_when_it_is_met(history: History, path: Path) -> None:
    id = history.create().id
    for index in range(50):
        turn(history, id, None, f"q{index}" * 200, "a" * 2000)
    history.close()
    with path.open("r+b") as file:  # all but the first page, which says what the file is
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))
    with pytest.raises(HistoryError, match="damaged"), History(path) as damaged:
        damaged.path(id)


def test_another_programs_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE bookmarks (url TEXT)")
    content = path.read_bytes()
    with pytest.raises(HistoryError, match="another program"):
        History(path)
    assert path.read_bytes() == content


def test_a_newer_versions_file_is_refused(history: History, path: Path) -> None:
    history.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(HistoryError, match="newer version"):
        History(path)


def test_a_locked_file_is_reported_after_a_while(history: History, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeai.history_db.LOCK_TIMEOUT_S", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other, History(path) as second:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(HistoryError, match="another process"):
            second.create()
        other.execute("ROLLBACK")
        second.create()


def test_a_closed_store_says_so(history: History) -> None:
    history.close()
    history.close()
    with pytest.raises(HistoryError, match="closed"):
        history.create()


def test_places_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "history.db", tmp_path):
        with pytest.raises(HistoryError, match="check the rights"):
            History(place)


@pytest.fixture
def as_another_user() -> Iterator[Path]:
    """A folder that this process can read and not write: root's own rights are laid down for the test."""
    with tempfile.TemporaryDirectory(dir="/tmp" if os.name == "posix" else None) as name:
        folder, is_root = Path(name), os.name == "posix" and os.geteuid() == 0
        History(folder / "history.db").close()
        (folder / "history.db").chmod(0o444)
        folder.chmod(0o555)
        if is_root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
            folder.chmod(0o755)


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX rights")
def test_a_read_only_folder(as_another_user: Path) -> None:
    for name in ("history.db", "new.db", "sub/new.db"):
        with pytest.raises(HistoryError, match="check the rights"):
            History(as_another_user / name)


FULL_DISK = """
import resource, sys
from edgeai.history import History, HistoryError
history = History(sys.argv[1])
id, parent = history.create().id, None
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY))
try:
    while True:
        user, assistant = history.begin_turn(id, parent, "question " * 100)
        history.finish_turn(assistant, "answer " * 1000)
        print(assistant, flush=True)
        parent = assistant
except HistoryError as exc:
    print(exc)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
user, assistant = history.begin_turn(id, parent, "there is room again")  # the same instance goes on
history.finish_turn(assistant, "good")
print(assistant)
history.close()
"""


@pytest.mark.skipif(os.name != "posix", reason="needs resource limits")
def test_a_full_disk_is_reported_and_loses_nothing(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True)
    *stored, error, last = done.stdout.splitlines()
    assert "free some disk space" in error
    assert len(stored) > 3
    with History(path) as history:
        assert [history.message(int(number)).status for number in [*stored, last]] == ["complete"] * (len(stored) + 1)
        assert history._db.read("PRAGMA integrity_check") == [("ok",)]


def test_closing_waits_for_other_threads(tmp_path: Path) -> None:
    """SQLite crashes the process when a connection is closed while another thread reads from it."""
    for number in range(40):
        history = History(tmp_path / f"{number}.db")
        stopped = threading.Event()

        def read(history: History = history, stopped: threading.Event = stopped) -> None:
            with contextlib.suppress(HistoryError):
                while True:
                    history.conversations()
            stopped.set()

        threading.Thread(target=read, daemon=True).start()
        history.close()
        assert stopped.wait(5)
