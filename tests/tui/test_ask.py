"""`edgeai ask`: what the model is asked, what stands on stdout and stderr, and the exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeai.backends.base import Event, Finished, GenerateRequest
from edgeai.errors import GenerationError
from tests.fakes import FakeBackend
from tests.tui.terminal import FakeModels, pipe_in
from tui.cli import main

ASK = [sys.executable, "-c", "import sys; from tui.cli import main; sys.exit(main())", "ask"]


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> FakeModels:
    pipe_in(monkeypatch, b"")
    return FakeModels(monkeypatch, FakeBackend())


def user_text(models: FakeModels) -> str:
    return models.prompts[-1].split("<|im_start|>user\n")[1].split("<|im_end|>")[0]


def test_the_answer_alone_is_on_stdout(models: FakeModels, capsys: pytest.CaptureFixture[str]) -> None:
    models.backend.enqueue("Paris is\nthe capital.")
    assert main(["ask", "What", "is the capital?"]) == 0
    assert capsys.readouterr() == ("Paris is\nthe capital.\n", "")
    assert user_text(models) == "What is the capital?"
    assert models.backend.closed


@pytest.mark.parametrize("answer", ["", "a", "a\n", "a\n\n\n", "\n"])
def test_exactly_one_newline_ends_it(models: FakeModels, capsys: pytest.CaptureFixture[str], answer: str) -> None:
    models.backend.enqueue(answer)
    assert main(["ask", "q"]) == 0
    assert capsys.readouterr().out == answer.rstrip("\n") + "\n"


def test_newlines_within_stay(models: FakeModels, capsys: pytest.CaptureFixture[str]) -> None:
    models.backend.enqueue("a\n\n b\n \nc")
    main(["ask", "q"])
    assert capsys.readouterr().out == "a\n\n b\n \nc\n"


def test_escape_sequences_do_nothing(models: FakeModels, capsys: pytest.CaptureFixture[str]) -> None:
    models.backend.enqueue("\x1b[2Jred \x1b ]0;title\x07 \x9b1m \u202e [bold]x[/]")
    main(["ask", "q"])
    assert capsys.readouterr().out == "red  ]0;title 1m  [bold]x[/]\n"


def test_piped_text_stands_above_the_question(models: FakeModels, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe_in(monkeypatch, "\ufeffログ line 1\r\nline 2\n\n".encode())
    assert main(["ask", "What failed?"]) == 0
    assert user_text(models) == "ログ line 1\nline 2\n\nWhat failed?"


@pytest.mark.parametrize("args", [[], ["-"]])
def test_piped_text_alone_is_the_question(models: FakeModels, monkeypatch: pytest.MonkeyPatch, args: list[str]) -> None:
    pipe_in(monkeypatch, b"Why is the sky blue?\n")
    assert main(["ask", *args]) == 0
    assert user_text(models) == "Why is the sky blue?"


def test_a_terminal_is_read_only_when_asked_to(models: FakeModels, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe_in(monkeypatch, b"typed", is_terminal=True)
    assert main(["ask", "q"]) == 0
    assert user_text(models) == "q"
    assert main(["ask", "-", "q"]) == 0
    assert user_text(models) == "typed\n\nq"


def test_no_stdin_at_all(models: FakeModels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["ask", "q"]) == 0
    assert main(["ask"]) == 2


def test_asking_nothing_is_wrong_usage(models: FakeModels, capsys: pytest.CaptureFixture[str]) -> None:
    for args in (["ask"], ["ask", " "], ["ask", "-"]):
        assert main(args) == 2
        assert "Nothing is asked" in capsys.readouterr().err
    assert models.opened == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"ok \xff\xfe", "stdin: expected UTF-8 text, found byte 0xff at 3"),
        ("日本語".encode("shift_jis"), "iconv -f SHIFT_JIS"),
        (b"\x7fELF\0\0", "binary data"),
        (b"x" * ((16 << 20) + 1), "more than 16 MiB"),
    ],
)
def test_what_is_not_text_is_refused_before_a_model_is_loaded(
    models: FakeModels,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    data: bytes,
    message: str,
) -> None:
    pipe_in(monkeypatch, data)
    assert main(["ask", "q"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert models.opened == []


def test_options_reach_the_session(models: FakeModels) -> None:
    args = "ask q -m some-model --n-ctx 512 --threads 2 -s Brief. --max-tokens 9 --temperature 0 --top-p 0.5 --top-k 3"
    assert main([*args.split(), "--min-p", "0.1", "--repeat-penalty", "1.1", "--seed", "7", "--stop", "a b"]) == 0
    ((model, options),) = models.opened
    assert model == "some-model"
    assert (options["n_ctx"], options["n_threads"], options["system"]) == (512, 2, "Brief.")
    (request,) = models.backend.requests
    sampling = request.sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p, sampling.top_k) == (9, 0, 0.5, 3)
    assert (sampling.min_p, sampling.repeat_penalty, sampling.seed, sampling.stop) == (0.1, 1.1, 7, ("a b",))
    assert "system\nBrief." in models.prompts[0]


@pytest.mark.parametrize(
    "args",
    [
        ["--temperature", "-1"],
        ["--top-p", "2"],
        ["--top-k", "-5"],
        ["--max-tokens", "0"],
        ["--n-ctx", "0"],
        ["--seed", "-1"],
        ["--seed", str(2**32)],
        ["--stop", ""],
        ["--overflow", "never"],
        ["--nonsense"],
    ],
)
def test_values_that_make_no_sense_are_wrong_usage(
    models: FakeModels, capsys: pytest.CaptureFixture[str], args: list[str]
) -> None:
    assert main(["ask", "q", *args]) == 2
    assert "Error: " in capsys.readouterr().err
    assert models.opened == []


def test_stats_are_one_line_of_json(models: FakeModels, capsys: pytest.CaptureFixture[str]) -> None:
    models.backend.enqueue("one two three")
    assert main(["ask", "q", "--stats"]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    stats = json.loads(captured.err)
    assert list(stats) == [
        "load_ms",
        "prompt_tokens",
        "cached_tokens",
        "prefill_tokens_per_s",
        "completion_tokens",
        "decode_tokens_per_s",
        "ttft_ms",
        "peak_rss_bytes",
    ]
    assert stats["completion_tokens"] == 3
    assert stats["prompt_tokens"] == len(models.prompts[0])
    assert 5_000_000 < stats["peak_rss_bytes"] < 100_000_000_000


def test_a_schema_is_followed(models: FakeModels, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    path.write_text('{"type": "object"}')
    models.backend.enqueue('{"a": 1}')
    assert main(["ask", "q", "--json-schema", str(path)]) == 0
    assert json.loads(capsys.readouterr().out) == {"a": 1}
    assert models.backend.requests[0].grammar is not None


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff", b"[" * 100_000])
def test_a_schema_that_is_none(
    models: FakeModels, capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "schema.json"
    if content is not None:
        path.write_bytes(content)
    assert main(["ask", "q", "--json-schema", str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {path}: ")
    assert captured.err.count("\n") == 1
    assert models.opened == []


def test_a_schema_that_makes_no_sense(models: FakeModels, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    path.write_text('{"type": "strnig"}')
    assert main(["ask", "q", "--json-schema", str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {path}: ")
    assert "strnig" in captured.err
    assert captured.err.count("\n") == 1


def test_a_prompt_that_does_not_fit(models: FakeModels, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "long " * 2000]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "n_ctx = 4,096" in captured.err
    assert captured.err.count("\n") == 1


def test_an_engine_that_fails_before_it_says_anything(models: FakeModels, capsys: pytest.CaptureFixture[str]) -> None:
    models.backend.enqueue(RuntimeError("the engine\nbroke"))
    assert main(["ask", "q"]) == 1
    assert capsys.readouterr() == ("", "error: the engine broke\n")


def test_an_engine_that_fails_midway(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Breaking(FakeBackend):
        def generate(self, request: GenerateRequest) -> Iterator[Event]:
            for event in super().generate(request):
                if isinstance(event, Finished):
                    raise GenerationError("it broke")
                yield event

    pipe_in(monkeypatch, b"")
    FakeModels(monkeypatch, Breaking().enqueue("half an answer"))
    assert main(["ask", "q"]) == 1
    assert capsys.readouterr() == ("half an answer\n", "error: it broke\n")


def test_ctrl_c_keeps_what_was_said(models: FakeModels, capsys: pytest.CaptureFixture[str]) -> None:
    models.backend.enqueue("one two three")
    models.backend.gate.clear()
    interrupt = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()
    assert main(["ask", "q", "--stats"]) == 130
    interrupt.join()
    captured = capsys.readouterr()
    assert captured.out == "\n"
    assert json.loads(captured.err)["completion_tokens"] == 0


def test_it_starts_without_the_heavy_libraries() -> None:
    code = (
        "import sys, tui.cli, tui.commands.ask; "
        "print([name for name in ('textual', 'rich', 'llama_cpp', 'numpy', 'psutil', 'sqlite3', 'jinja2') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- the real model ---


@pytest.mark.weights
def test_paris(real_model: Path) -> None:
    args = ["What is the capital of France? Answer with one word.", "-m", str(real_model), "--temperature", "0.2"]
    done = subprocess.run(
        [*ASK, *args, "--top-p", "0.9", "--seed", "1", "--stats"],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert "Paris" in done.stdout
    stats = json.loads(done.stderr)
    assert stats["completion_tokens"] > 3
    assert stats["peak_rss_bytes"] > real_model.stat().st_size // 2


@pytest.mark.weights
def test_ctrl_c_in_a_real_answer(real_model: Path) -> None:
    args = ["Count from one to one thousand in words.", "-m", str(real_model), "--seed", "1", "--temperature", "0"]
    with subprocess.Popen(
        [*ASK, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        first = os.read(run.stdout.fileno(), 1)
        run.send_signal(signal.SIGINT)
        rest = run.stdout.read()
        assert run.wait(10) == 130
        assert first
        assert rest.endswith(b"\n")
        assert not rest.endswith(b"\n\n")
        assert b"Traceback" not in run.stderr.read()


@pytest.mark.weights
def test_a_reader_that_leaves(real_model: Path) -> None:
    args = ["Write a long story.", "-m", str(real_model), "--max-tokens", "2000"]
    with subprocess.Popen(
        [*ASK, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        os.read(run.stdout.fileno(), 1)
        run.stdout.close()
        assert run.wait(20) == 1
        assert run.stderr.read() == b""
