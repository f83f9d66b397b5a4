from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path

import click
import pytest

import tui.cli
from edgeai import EdgeAIError, ModelNotFoundError
from tui.cli import COMMANDS, main


@pytest.fixture
def run_command(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Put a function in the place of `edgeai ask`."""

    def put(function):  # type: ignore[no-untyped-def]
        module = types.ModuleType("fake_ask")
        module.command = click.command(function)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "fake_ask", module)
        monkeypatch.setitem(tui.cli.COMMANDS, "ask", ("fake_ask", "Fake."))
        return main(["ask"])

    return put


def raising(error: BaseException):  # type: ignore[no-untyped-def]
    def ask() -> None:
        raise error

    return ask


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("edgeai 0.")


def test_help_lists_every_command_without_importing_one() -> None:
    script = (
        "import sys; from tui.cli import main; main(['--help']);"
        "bad = [n for n in sys.modules if n.startswith(('tui.commands.', 'textual', 'rich', 'llama_cpp', 'numpy'))];"
        "assert not bad, bad"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    for name, (_, text) in COMMANDS.items():
        assert f"  {name} " in result.stdout
        assert text in result.stdout


@pytest.mark.parametrize("args", [["modles"], ["--no-such"], ["models", "--no-such"], ["models", "show"]])
def test_wrong_usage_exits_2(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(args) == 2
    assert "Usage: edgeai" in capsys.readouterr().err


def test_close_command_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    main(["modles"])
    assert "Did you mean 'models'?" in capsys.readouterr().err


def test_library_error_is_one_harmless_line(run_command, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    assert run_command(raising(EdgeAIError("no\x1b[31m model\n\x9b\x07 here\u202e"))) == 1
    captured = capsys.readouterr()
    assert captured.err == "error: no model  here\n"
    assert captured.out == ""


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            OSError(28, "No space left on device", "/data/x"),
            "error: /data/x: No space left on device: free some disk space\n",
        ),
        (PermissionError(13, "Permission denied"), "error: Permission denied\n"),
        (ModelNotFoundError("no such model"), "error: no such model\n"),
    ],
)
def test_os_errors_are_one_line(run_command, error, text, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    assert run_command(raising(error)) == 1
    assert capsys.readouterr().err == text


def test_ctrl_c_exits_130(run_command) -> None:  # type: ignore[no-untyped-def]
    assert run_command(raising(KeyboardInterrupt())) == 130
    assert run_command(raising(click.Abort())) == 130


def test_exit_code_of_a_command(run_command) -> None:  # type: ignore[no-untyped-def]
    assert run_command(lambda: click.get_current_context().exit(3)) == 3
    assert run_command(lambda: "a result that is no exit code") == 0


def test_a_bug_shows_itself(run_command) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ZeroDivisionError):
        run_command(raising(ZeroDivisionError()))


def run_edgeai(*args: str, home: Path, **variables: str) -> subprocess.CompletedProcess[bytes]:
    code = "import sys; from tui.cli import main; sys.exit(main())"
    environment = {**os.environ, "EDGEAI_HOME": str(home), **variables}
    return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, env=environment, timeout=60)


def test_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    code = (
        "import sys, click, types; import tui.cli;"
        "m = types.ModuleType('m');"
        "m.command = click.command(lambda: [print('x' * 1000) for _ in range(10000)]);"
        "sys.modules['m'] = m; tui.cli.COMMANDS['ask'] = ('m', '');"
        "sys.exit(tui.cli.main(['ask']))"
    )
    shell = f'"{sys.executable}" -c "{code}" | head -c 10'
    result = subprocess.run(["bash", "-c", shell], capture_output=True, timeout=60)
    assert result.stdout == b"x" * 10
    assert result.stderr == b""


@pytest.mark.skipif(os.name == "nt", reason="closes streams as a POSIX shell does")
@pytest.mark.parametrize("closing", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(tmp_path: Path, closing: str) -> None:
    program = "import sys; from tui.cli import main; sys.exit(main(['history', 'list']))"
    command = f'"{sys.executable}" -c "{program}" {closing}'
    done = subprocess.run(
        command,
        shell=True,
        env={**os.environ, "EDGEAI_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0
    assert done.stderr in ("", "No conversations yet: `edgeai chat` begins one.\n")


def test_encoding_that_lacks_characters(tmp_path: Path) -> None:
    result = run_edgeai("models", home=tmp_path, PYTHONIOENCODING="ascii")
    assert result.returncode == 0, result.stderr
    assert b"smollm2-135m-instruct" in result.stdout


def test_no_colour_where_there_is_no_terminal(tmp_path: Path) -> None:
    result = run_edgeai("models", "show", "no-such-model", home=tmp_path, FORCE_COLOR="")
    assert result.returncode == 1
    assert b"\x1b" not in result.stderr
    assert result.stderr.startswith(b"error: the catalog has no model named 'no-such-model'")


def test_colour_on_a_terminal_unless_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    from tui.output import wants_color

    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert wants_color(Terminal())  # type: ignore[arg-type]
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_color(Terminal())  # type: ignore[arg-type]
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not wants_color(Terminal())  # type: ignore[arg-type]
