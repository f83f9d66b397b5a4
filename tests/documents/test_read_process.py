"""The process that reads a document: what it reaches, and what becomes of one that crashes, hangs or lies."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from edgeai.documents.read import read_document
from edgeai.documents.reading import limits, output, process
from edgeai.errors import DocumentError, EngineCrashedError
from edgeai.vision.picture_text import PictureText
from tests.documents.files import ALL, TEXT, read_here
from tests.documents.pdf_files import pdf
from tests.sandbox.inside import linux_only, needs_landlock

LIBRARIES = ("pypdfium2", "docx", "pptx", "openpyxl", "selectolax", "charset_normalizer", "lxml")
BEGIN = "import sys\nsys.path[:] = sys.argv[2:]\n"
IMPOSTOR = (
    BEGIN
    + """
import os, time
from edgeai.engine.wire import Pipe
from edgeai.documents.reading.wire import *
pipe = Pipe(Request, sys.stdin.buffer, sys.stdout.buffer)
def raw(data): sys.stdout.buffer.write(data); sys.stdout.buffer.flush()
def send(*messages): [pipe.send(message) for message in messages]
def part(text="x", kind="text", level=0, page=None, line=None): return Parts([Part(text, kind, level, page, line)])
END = Finished("", [])
job = pipe.receive()
while job.n_bytes: job = Job(job.n_bytes - len(pipe.receive().data), None, "", None, job.policy)
"""
)
"""The other end of the pipe, which has got the file and says what it likes."""
FORMAT = BEGIN + "from edgeai.documents.reading import child, text\ndef read(data, out, hints):\n"
"""The real process, but plain text is read by what follows."""
START = "\ntext.read = read\nchild.main(int(sys.argv[1]))\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("hello")
    return path


def problem(path: Path) -> str:
    """What is said of a file that cannot be read; no process is left."""
    with pytest.raises(DocumentError) as caught:
        read_document(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    assert "expected" in text
    assert not psutil.Process().children(recursive=True)
    return text


def instead(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """From now on this runs instead of reading plain text."""
    monkeypatch.setattr(process, "_START", FORMAT + "".join(f"    {line}\n" for line in code.splitlines()) + START)


@pytest.mark.parametrize("name", ALL)
def test_every_kind_is_read_in_the_sandbox(name: str, tmp_path: Path) -> None:
    data = ALL[name]()
    path = tmp_path / name
    path.write_bytes(data)
    seen: list[tuple[int, int]] = []
    document = read_document(path, on_progress=lambda n_done, n_total: seen.append((n_done, n_total)))
    assert any(TEXT in block.text for block in document.blocks)
    assert (document.path, document.n_bytes) == (path, len(data))
    assert document.sha256 == hashlib.sha256(data).hexdigest()
    assert all(0 <= n_done <= n_total for n_done, n_total in seen)
    if document.n_pages:
        assert seen[-1] == (document.n_pages, document.n_pages)


def test_several_are_read_at_the_same_time(tmp_path: Path) -> None:
    for name in ALL:
        (tmp_path / name).write_bytes(ALL[name]())
    with ThreadPoolExecutor(4) as pool:
        documents = list(pool.map(read_document, [tmp_path / name for name in ALL]))
    assert [document.path.name for document in documents] == list(ALL)
    assert all(any(TEXT in block.text for block in document.blocks) for document in documents)


def test_a_password_reaches_the_process(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf([["Secret"]], password="pw"))
    assert read_document(path, password="pw").blocks[0].text == "Secret"
    assert "it is encrypted: expected its password" in problem(path)


PROBE = """
import json, mmap, os, socket, subprocess
from pathlib import Path
path = Path({path!r})
def kind(attempt):
    try:
        attempt()
    except (OSError, MemoryError) as exc:
        return type(exc).__name__
    return "done"
out.text(json.dumps([kind(attempt) for attempt in (
    path.read_text,
    lambda: os.listdir(path.parent),
    lambda: Path("/etc/passwd").read_text(),
    lambda: (path.parent / "new").write_text(""),
    lambda: path.open("rb+"),
    lambda: socket.socket(),
    lambda: socket.socket(socket.AF_UNIX),
    lambda: subprocess.run(["/bin/true"]),
    os.fork,
    lambda: os.kill(os.getppid(), 0),
    lambda: mmap.mmap(-1, 2**33),
    lambda: None,
)]))
"""


@linux_only
@needs_landlock(1)
def test_it_reaches_nothing_not_even_the_document(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch, PROBE.format(path=str(path)))
    *refused, last = json.loads(read_document(path).blocks[0].text)
    assert last == "done"
    assert "done" not in refused
    assert not (path.parent / "new").exists()


@linux_only
def test_memory_has_a_limit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch, "parts = []\nwhile True: parts.append(bytes(2**26))")
    assert "takes more memory than so small a file may" in problem(path)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os.abort()", "crashed (SIGABRT)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was killed (SIGKILL: memory may have run out)"),
        ("import os; os._exit(3)", "crashed (exit code 3)"),
    ],
)
def test_a_process_that_dies_is_one_line(path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str) -> None:
    instead(monkeypatch, code)
    assert words in problem(path)
    monkeypatch.undo()
    assert read_document(path).blocks[0].text == "hello"


@pytest.mark.parametrize("error", ["EOFError", "OSError(5, 'x')", "RecursionError", "KeyError('a\\nb')"])
def test_any_error_of_a_library_is_one_line(path: Path, monkeypatch: pytest.MonkeyPatch, error: str) -> None:
    instead(monkeypatch, f"raise {error}")
    assert "damaged or cut short" in problem(path)


def test_a_process_that_is_killed_from_outside(path: Path) -> None:
    path.write_text("one\n\n" * 600_000)

    def kill(_n_done: int, _n_total: int) -> None:
        for child in psutil.Process().children():
            child.kill()

    with pytest.raises(DocumentError, match="was killed") as caught:
        read_document(path, on_progress=kill)
    assert isinstance(caught.value.__cause__, EngineCrashedError)


def test_no_progress_is_an_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STALL_S", 1.0)
    instead(monkeypatch, "while True: pass")
    assert "made no progress for 1 s" in problem(path)


def test_progress_without_end_is_an_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "total_s", lambda _n_bytes, _n_pages, **_: 1.0)
    instead(monkeypatch, "import time\nwhile True: out.progress(1, 2); time.sleep(0.02)")
    assert "it took more than 1 s to read 5 bytes" in problem(path)


def test_output_has_limits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instead(monkeypatch, "while True: out.text('x' * 10_000)")
    assert "more than 64 MiB of text" in problem(path)


def test_blocks_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "MAX_BLOCKS", 3)
    assert len(read_here(b"# a\n# b\n# c", "a.md").blocks) == 3
    with pytest.raises(DocumentError, match=r"more than 64 MiB of text or 3 paragraphs: expected"):
        read_here(b"# a\n# b\n# c\n# d", "a.md")


@pytest.mark.parametrize(
    "code",
    [
        "raw(b'garbage, and more of it')",
        "raw((5).to_bytes(4, 'little') + b'\\xc1' * 5)",
        "raw((2**31).to_bytes(4, 'little'))",
        "send(END)",
        "send(part())",
        "send(Began('text', None), Began('text', None))",
        "send(Began('text', 2**30))",
        "send(Began('text', None), Working(2, 1))",
        "send(Began('text', None), part(page=1))",
        "send(Began('pdf', 3), part(page=4))",
        "send(Began('pdf', 3), Finished('', [4]))",
        "send(Began('pdf', 3), Finished('', [2, 2]))",
        "send(Began('pdf', 3), Scan(1, 2, 2, bytes(11)))",
        "send(Began('pdf', 3), Scan(4, 1, 1, bytes(3)))",
        "send(Began('pdf', 3), Scan(2, 1, 1, bytes(3)), Scan(1, 1, 1, bytes(3)))",
        "send(Began('text', None), Scan(1, 1, 1, bytes(3)))",
        "send(Began('text', None), part(level=1))",
        "send(Began('text', None), part(kind='heading'))",
        "send(Began('text', None), part(kind='heading', level=99))",
        "send(Began('text', None), part(kind='picture'))",
        "send(Began('text', None), part(line=0))",
        "send(Began('text', None), part(text='\\n'.join('x' * 2**20 for _ in range(63))), part(text='x' * 2**22))",
        "send(Began('text', None), Parts([Part('x', 'text', 0, None, None)] * 2001))",
        "send(Began('text', None), Parts([Part('x', 'text', 0, None, 1.5)]))",
    ],
)
def test_a_process_that_lies_is_ended(path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(limits, "MAX_BLOCKS", 2000)
    monkeypatch.setattr("edgeai.vision.ocr.read_text", lambda _picture: PictureText())
    monkeypatch.setattr(process, "_START", IMPOSTOR + code + "\ntime.sleep(60)\n")
    assert "sent what cannot be" in problem(path)


def test_hostile_text_from_the_process_is_made_harmless(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
send(Began('te\\x1b[2Jxt', None), part('a\\nb \\x1b[31m\\0c\\u202e', 'heading', 1), part('\\x1b]0;x\\x07 d\\r\\n\\te'))
send(Finished('t\\n\\x1b[0m\\u2066', []))
"""
    monkeypatch.setattr(process, "_START", IMPOSTOR + code)
    document = read_document(path)
    assert (document.kind, document.title) == ("text", "t")
    assert [block.text for block in document.blocks] == ["a b c", " d\n\te"]
    assert document.blocks[1].headings == ("a b c",)
    monkeypatch.setattr(process, "_START", IMPOSTOR + "send(Refused('a\\nb\\x1b[31m' + 'x' * 10_000 + ' expected'))")
    with pytest.raises(DocumentError) as caught:
        read_document(path)
    assert not set("\n\x1b") & set(str(caught.value))
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("name", "library"),
    [("a.pdf", "pypdfium2"), ("a.docx", "docx"), ("a.pptx", "pptx"), ("a.xlsx", "openpyxl"), ("a.html", "selectolax")],
)
def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, library: str) -> None:
    hidden = f"sys.modules[{library!r}] = None\nfrom edgeai.documents.reading.child import main; main(int(sys.argv[1]))"
    monkeypatch.setattr(process, "_START", BEGIN + hidden)
    path = tmp_path / name
    path.write_bytes(ALL[name]())
    with pytest.raises(DocumentError) as caught:
        read_document(path)
    kind = name[2:]
    assert str(caught.value) == (
        f"{path}: reading {kind} needs {library}, which is not installed: pip install 'edgeai[documents]'"
    )


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.csv", "a.json", "a.py", "a.eml", "a.epub"])
def test_what_needs_no_library_is_read_without_any(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = [
        f"sys.modules[{library!r}] = None\n" for library in LIBRARIES if name != "a.epub" or library != "selectolax"
    ]
    start = "from edgeai.documents.reading.child import main; main(int(sys.argv[1]))"
    monkeypatch.setattr(process, "_START", BEGIN + "".join(hidden) + start)
    path = tmp_path / name
    path.write_bytes(ALL[name]())
    assert any(TEXT in block.text for block in read_document(path).blocks)


def test_a_file_that_changes_while_it_is_read(path: Path) -> None:
    path.write_text("one\n\n" * 300_000)

    def change(_n_done: int, _n_total: int) -> None:
        with path.open("a") as file:
            file.write("more")

    with pytest.raises(DocumentError, match="it changed while it was read: expected a file that stays"):
        read_document(path, on_progress=change)


def test_files_that_shrink_and_grow_while_they_are_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fstat
    for change in (-1, 1):

        def other_size(number: int, change: int = change) -> os.stat_result:
            found = real(number)
            return os.stat_result((*found[:6], found.st_size + change, *found[7:10]))

        monkeypatch.setattr("edgeai.documents.read.os.fstat", other_size)
        assert "it changed while it was read" in problem(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    assert "no such file" in problem(tmp_path / "missing.pdf")
    assert "it is a folder" in problem(tmp_path)
    (tmp_path / "empty.pdf").touch()
    assert "it is empty (0 bytes)" in problem(tmp_path / "empty.pdf")
    os.mkfifo(tmp_path / "pipe.txt")
    assert "it is a pipe, socket or device" in problem(tmp_path / "pipe.txt")
    assert "it is a pipe, socket or device" in problem(Path("/dev/zero"))
    (tmp_path / "ring.txt").symlink_to("ring.txt")
    assert "cannot be opened" in problem(tmp_path / "ring.txt")
    assert "cannot be opened" in problem(tmp_path / ("x" * 5000))
    with (tmp_path / "huge.txt").open("wb") as file:
        file.truncate(2**40)
    assert "it has 1,099,511,627,776 bytes: expected at most" in problem(tmp_path / "huge.txt")
    with pytest.raises(DocumentError, match="cannot be opened"):
        read_document("nul\0.txt")


def test_no_permission(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("edgeai.documents.read.os.open", refuse)  # root may read whatever its permissions say
    assert "no permission to read it" in problem(path)


def test_no_process_can_be_started(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert "no process can be started to read it in" in problem(path)


def test_an_error_of_the_caller_ends_the_process(path: Path) -> None:
    path.write_text("one\n\n" * 600_000)

    def fail(_n_done: int, _n_total: int) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        read_document(path, on_progress=fail)
    assert not psutil.Process().children()


def test_importing_it_loads_no_library() -> None:
    code = "import sys, json, edgeai.documents.read; print(json.dumps(sorted(sys.modules)))"
    loaded = {name.partition(".")[0] for name in json.loads(subprocess.check_output([sys.executable, "-c", code]))}
    assert not loaded & {*LIBRARIES, "msgspec", "numpy"}


def test_what_has_no_text_is_an_error_that_says_why(tmp_path: Path) -> None:
    empty, pages = tmp_path / "empty.html", tmp_path / "scan.pdf"
    empty.write_text("<html><body><script>x()</script></body></html>")
    pages.write_bytes(pdf([[], []]))
    with pytest.raises(DocumentError, match=r"empty\.html: it has no text: expected some; if it should"):
        read_document(empty)
    with pytest.raises(DocumentError, match=r"scan\.pdf: it has no text"):
        read_document(pages)
