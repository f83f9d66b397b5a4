"""The `quantize` command when it is to end early: Ctrl-C, a closing terminal, a system that shuts down."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.quantize.tiny_checkpoints import case_checkpoint

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")

# Stops after the first bytes of the artifact, or of the model that is made for measuring.
STOPS = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
{before}
import quantize.pipeline
def stop(*_):
    print("writing", flush=True)
    time.sleep(60)
quantize.pipeline._write_tensors = stop
from quantize.cli import main
sys.exit(main(sys.argv[1:]))
"""

# Ctrl-C comes while a module is imported.
INTERRUPTED = """
import sys
class Finder:
    def find_spec(self, name, *_):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder())
from quantize.cli import main
sys.exit(main(["--dry-run", "nowhere"]))
"""


def stopped(arguments: list[str], *signals: signal.Signals, before: str = "", program: str = STOPS) -> tuple[int, str]:
    """The exit code and stderr of a command that gets signals while it writes."""
    command = [sys.executable, "-c", program.format(before=before), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        for each in signals:
            process.send_signal(each)
        _, told = process.communicate(timeout=150)  # a busy machine takes its time
    return process.returncode, told


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143), (1, 129)])
@pytest.mark.parametrize("more", [[], ["--report"], ["--auto"]])
def test_nothing_half_written_is_left(number: int, code: int, more: list[str], tmp_path: Path) -> None:
    folder = case_checkpoint(tmp_path, "llama")
    before = sorted(folder.iterdir())
    ended, told = stopped([*more, str(folder)], signal.Signals(number))
    assert ended == code
    assert told.strip() == ""
    assert sorted(folder.iterdir()) == before


def test_a_second_signal_does_not_cut_the_cleaning_short(tmp_path: Path) -> None:
    folder = case_checkpoint(tmp_path, "llama")
    before = sorted(folder.iterdir())
    code, told = stopped(["--report", str(folder)], signal.SIGHUP, signal.SIGTERM)
    assert code in (129, 143)  # they may come in any order
    assert told == ""
    assert sorted(folder.iterdir()) == before


def test_what_nohup_ignores_stays_ignored(tmp_path: Path) -> None:
    folder = case_checkpoint(tmp_path, "llama")
    ignored = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    code, _ = stopped([str(folder)], signal.SIGHUP, signal.SIGTERM, before=ignored)
    assert code == 143


@pytest.mark.parametrize("module", ["click", "edgeai.sizes", "quantize.job"])
def test_ctrl_c_while_modules_are_read_is_silent(module: str) -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED.format(module=module)], capture_output=True, text=True)
    assert done.returncode == 130
    assert done.stderr.strip() == ""
