"""Models that read a text in a process of their own: what it reaches, and what becomes of one that crashes or lies."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest

from edgeai import gguf_header
from edgeai.errors import EdgeAIError, EngineCrashedError, GenerationError, ModelFormatError, QuantizeError
from edgeai.sandbox import Policy
from quantize.collect import collect
from quantize.isolated import process, tasks
from quantize.isolated.process import evaluation
from quantize.isolated.wire import Began, Guessed, Job, Matrix, Working
from quantize.perplexity import Divergence, divergence, divergences, perplexity
from quantize.texts import evaluation_text
from tests.crafted_models import MEANING
from tests.engine.children import is_gone, wait_for
from tests.sandbox.inside import linux_only, needs_landlock
from tests.tiny import tiny_model

TEXT = "a text of some words. " * 20
N_CTX = 16

IMPOSTOR = """
import sys
sys.path[:] = sys.argv[2:]
import struct
from edgeai.engine.wire import Pipe
from quantize.isolated.wire import *
pipe = Pipe(Job, sys.stdin.buffer, sys.stdout.buffer)
def raw(data): sys.stdout.buffer.write(data); sys.stdout.buffer.flush()
def send(*messages): [pipe.send(message) for message in messages]
def numbers(*values): return struct.pack(f"<{len(values)}d", *values)
def sums(*values): return struct.pack(f"<{len(values)}f", *values)
GOOD = numbers(*[2.0] * 7)  # of 16 tokens the second half, whose last one guesses nothing
NAME = "blk.0.attn_q.weight"
job = pipe.receive()
"""
"""The other end of the pipe, which has got its job and says what it likes."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


def impostor(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """From now on the evaluating process runs this code."""
    monkeypatch.setattr(process, "_START", IMPOSTOR + code)


def crafted(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that llama.cpp cannot stand, and a check of headers that looks away."""
    (case,) = (case for case in MEANING if case.name == name)
    path = folder / f"{name}.gguf"
    case.write(path)
    with pytest.raises(ModelFormatError):
        perplexity(path, TEXT)
    monkeypatch.setattr(gguf_header, "check_model", lambda _header, _reader: None)
    return path


def guess(path: Path) -> object:
    return perplexity(path, TEXT, n_ctx=N_CTX, n_chunks=2)


def compare(path: Path) -> Divergence:
    return divergence(path, path, TEXT, n_ctx=N_CTX, n_chunks=2)


def gather(path: Path) -> object:
    return collect(path, TEXT, n_ctx=N_CTX, n_chunks=2)


def first_window(path: Path, watchdog_s: float) -> None:
    with evaluation("guess", [path], TEXT, n_ctx=N_CTX, n_chunks=2, n_threads=1, watchdog_s=watchdog_s) as running:
        running.n_windows()
        running.next(Guessed)


def children() -> list[int]:
    return [child.pid for child in psutil.Process().children(recursive=True)]


@pytest.mark.parametrize("name", ["layers-beyond-arrays", "vocabulary-of-one"])
@pytest.mark.parametrize("measure", [guess, gather])
def test_a_file_that_crashes_llama_cpp_is_an_error(
    name: str, measure: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = crafted(tmp_path, name, monkeypatch)
    with pytest.raises(EngineCrashedError) as caught:
        measure(path)
    assert str(caught.value).startswith(f"{path}: llama.cpp crashed (SIGABRT) while it was ")
    assert "\n" not in str(caught.value)
    assert caught.value.signal == "SIGABRT"
    assert any("GGML_ASSERT" in line for line in caught.value.log)
    assert not children()


def test_the_candidate_that_crashed_is_named(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = crafted(tmp_path, "layers-beyond-arrays", monkeypatch)
    with pytest.raises(EngineCrashedError) as caught:
        divergences([model, path], model, TEXT, n_ctx=N_CTX)
    assert str(caught.value).startswith(f"{path}: llama.cpp crashed (SIGABRT) while it was loading the model")


def test_a_file_on_which_an_operator_never_ends_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = crafted(tmp_path, "no-heads-in-layer-0", monkeypatch)
    with pytest.raises(
        EngineCrashedError, match=r"layer-0\.gguf: llama.cpp made no progress for 1 s .* reading the text"
    ):
        first_window(path, watchdog_s=1.0)
    assert not children()


def test_what_llama_cpp_says_of_a_file_arrives_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = crafted(tmp_path, "token-types-too-few", monkeypatch)
    job = Job(
        task="guess",
        paths=(str(path),),
        text=TEXT.encode(),
        n_ctx=N_CTX,
        n_chunks=2,
        n_threads=None,
        process_output=False,
        policy=Policy(),
    )
    with pytest.raises(EdgeAIError) as here:
        tasks.run(job, lambda _message: None)
    with pytest.raises(EdgeAIError) as there:
        guess(path)
    assert type(there.value) is type(here.value) is ModelFormatError
    assert str(there.value) == str(here.value)


@linux_only
def test_this_process_does_not_map_the_model(model: Path) -> None:
    maps: list[str] = []
    perplexity(model, TEXT, n_ctx=N_CTX, on_progress=lambda *_: maps.append(Path("/proc/self/maps").read_text()))
    assert maps
    assert not any(str(model) in text for text in maps)


PROBE = """
import sys
sys.path[:] = sys.argv[2:]
import json, mmap, os, socket, subprocess
from pathlib import Path
from edgeai.errors import QuantizeError
from quantize.isolated import child, tasks
def kind(attempt):
    try:
        attempt()
    except (OSError, MemoryError) as exc:
        return type(exc).__name__
    return "done"
def run(job, send):
    path = Path(job.paths[0])
    raise QuantizeError(json.dumps([kind(attempt) for attempt in (
        lambda: (path.parent / "secret").read_text(),
        lambda: os.listdir(path.parent),
        lambda: Path("/etc/passwd").read_text(),
        lambda: (path.parent / "new").write_text(""),
        lambda: path.open("rb+"),
        lambda: socket.socket(),
        lambda: socket.socket(socket.AF_UNIX),
        lambda: subprocess.run(["/bin/true"]),
        os.fork,
        lambda: os.kill(os.getppid(), 0),
        lambda: mmap.mmap(-1, 2**42),
        path.read_bytes,
    )]))
tasks.run = run
child.main(int(sys.argv[1]))
"""


@linux_only
@needs_landlock(1)
def test_it_reads_its_model_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("secret")
    monkeypatch.setattr(process, "_START", PROBE)
    with pytest.raises(QuantizeError) as found:
        guess(tiny_model(tmp_path / "a.gguf"))
    *refused, read = json.loads(str(found.value))
    assert read == "done"
    assert "done" not in refused
    assert refused[:5] == ["PermissionError"] * 5
    assert not (tmp_path / "new").exists()


CALL = """
import signal, sys
import psutil
from quantize.perplexity import perplexity
from quantize.texts import evaluation_text
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it
def tell(n_done, n_total):
    if n_done == 1:
        print(psutil.Process().children()[0].pid, flush=True)
perplexity(sys.argv[1], evaluation_text() * 20, n_ctx=64, on_progress=tell)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@linux_only
def test_nothing_is_left_of_an_interrupted_evaluation(model: Path, number: signal.Signals) -> None:
    caller = subprocess.Popen(
        [sys.executable, "-c", CALL, str(model)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert caller.stdout
    pid = int(caller.stdout.readline())
    assert not is_gone(pid)
    caller.send_signal(number)
    _, errors = caller.communicate(timeout=60)
    if number == signal.SIGINT:
        assert errors.splitlines()[-1] == "KeyboardInterrupt"
        assert is_gone(pid)
    else:
        wait_for(lambda: is_gone(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_an_error_of_the_caller_ends_it(model: Path) -> None:
    def fail(_n_done: int, _n_total: int) -> None:
        assert children()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        perplexity(model, evaluation_text(), n_ctx=N_CTX, on_progress=fail)
    assert not children()


@pytest.mark.parametrize(
    ("measure", "code"),
    [
        (guess, "raw(b'garbage, and more of it')"),
        (guess, "raw((5).to_bytes(4, 'little') + b'\\xc1' * 5)"),
        (guess, "raw((1).to_bytes(4, 'little') + b'\\x81')"),
        (guess, "send({'type': 'out of\\n\\x1b[31mluck'})"),
        (guess, "send(Guessed(GOOD))"),
        (guess, "send(job)"),
        (guess, "send(Began(0))"),
        (guess, "send(Began(2**30))"),
        (guess, "send(Working(1, 'loading the model'))"),
        (guess, "while True: send(Working(0, 'reading the text'))"),
        (guess, "send(Began(2))\nwhile True: send(Working(0, 'reading the text'))"),
        (guess, "send(Began(2), Guessed(GOOD[:-1]))"),
        (guess, "send(Began(2), Guessed(GOOD * 2))"),
        (guess, "send(Began(2), Guessed(numbers(*[1e300] * 7)))"),
        (guess, "send(Began(2), Guessed(GOOD), Compared(()))"),
        (compare, "send(Began(2), Compared(()))"),
        (compare, "send(Began(2), Compared((Difference(GOOD, GOOD, GOOD, b''),)))"),
        (gather, "send(Began(1), Collected(), Matrices(1), Matrix('blk.9.attn_q.weight', sums(1), (1,)))"),
        (gather, "send(Began(1), Collected(), Matrices(2), *[Matrix(NAME, sums(1), (1,))] * 2)"),
        (gather, "send(Began(1), Collected(), Matrices(1), Matrix(NAME, sums(-1), (1,)))"),
        (gather, "send(Began(1), Collected(), Matrices(1), Matrix(NAME, sums(float('inf')), (1,)))"),
        (gather, "send(Began(1), Collected(), Matrices(1), Matrix(NAME, sums(1, 2, 3), (1, 1)))"),
        (gather, "send(Began(1), Collected(), Matrices(1), Matrix(NAME, sums(), ()))"),
        (gather, "send(Began(1), Collected(), Matrices(1), Matrix(NAME, bytes(2**20), (1,)))"),
    ],
)
def test_a_process_that_lies_is_not_believed(
    measure: Callable[[Path], object], code: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impostor(monkeypatch, code + "\nsys.stdin.read()")
    with pytest.raises(EngineCrashedError, match=r"tiny\.gguf: llama.cpp sent what cannot be \(") as caught:
        measure(model)
    assert str(caught.value).isprintable()
    assert not children()


def test_steps_that_get_slower_and_slower_do_not_stretch_the_time_without_end(model: Path) -> None:
    with evaluation("guess", [model], TEXT, n_ctx=N_CTX, n_chunks=2, n_threads=1) as running:
        running.n_windows()
        pace = running._link.pace
        pace.record("0 reading the text", 1, 10_000.0)
        running._step = Working(0, "reading the text")
        running.next(Guessed)
        assert running._link._watchdog.limit_s <= 10 * pace.limit_s("unmeasured")


def test_a_process_that_only_ends_is_an_error(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    impostor(monkeypatch, "print('WARNING out of \\x1b[31mluck', file=sys.stderr, flush=True); sys.exit(7)")
    with pytest.raises(EngineCrashedError, match=r"tiny\.gguf: llama.cpp crashed \(exit code 7\)") as caught:
        guess(model)
    assert str(caught.value).endswith("its last words: out of luck")
    assert caught.value.exit_code == 7


def test_an_error_of_an_unknown_kind_is_plain_and_harmless(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    impostor(monkeypatch, "send(Failed('SystemExit', 'one\\n\\x1b]0;two\\x07' + 'x' * 100_000))")
    with pytest.raises(GenerationError) as caught:
        guess(model)
    assert type(caught.value) is GenerationError
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 2000


@pytest.mark.parametrize("value", [1e30, float("nan")])
def test_guesses_that_have_no_perplexity_are_an_error(
    value: float, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impostor(monkeypatch, f"send(Began(1), Guessed(numbers(*[float('{value}')] * 7)))")
    with pytest.raises(QuantizeError, match=r"tiny\.gguf: the model's logits are not numbers"):
        guess(model)


def test_a_text_too_long_and_no_windows_are_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(QuantizeError, match="n_chunks = 0: expected at least 1"):
        perplexity(model, TEXT, n_ctx=N_CTX, n_chunks=0)
    monkeypatch.setattr(process, "_MOST_TEXT_BYTES", 100)
    with pytest.raises(QuantizeError, match="the text has 440 bytes: expected at most 100"):
        perplexity(model, TEXT, n_ctx=N_CTX)


def test_messages_have_the_types_that_they_say() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode({"type": "Began", "n_windows": -1}), type=Began)
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(Matrix("a", b"", (2**60,))), type=Matrix)
