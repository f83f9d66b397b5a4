"""`import edgeai` is light, and its public names are exactly those of `__all__`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types

import pytest

import edgeai

HEAVY = {
    *("llama_cpp", "onnxruntime", "textual", "PIL", "sounddevice", "numpy", "gguf", "msgspec", "jinja2", "llguidance"),
    *("click", "rich", "psutil", "sqlite3", "huggingface_hub", "pydantic", "platformdirs"),
}


def imported_by(statement: str) -> set[str]:
    code = f"import sys, json\n{statement}\nprint(json.dumps(sorted(name.partition('.')[0] for name in sys.modules)))"
    return set(json.loads(subprocess.check_output([sys.executable, "-c", code])))


def test_importing_edgeai_loads_nothing_heavy() -> None:
    assert not imported_by("import edgeai") & HEAVY


def test_the_command_line_loads_no_application_and_no_engine() -> None:
    assert not imported_by("import tui.cli") & (HEAVY - {"click"})


def test_loading_the_bindings_leaves_a_whole_llama_cpp_to_others() -> None:
    code = (
        "from edgeai.backends.llama_native import bindings; import sys\n"
        "ours = bindings(); assert 'numpy' not in sys.modules\n"
        "import llama_cpp; assert llama_cpp.Llama and llama_cpp.llama_cpp is ours"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_onnx_runtime_starts_no_thread_of_its_own() -> None:
    """Its telemetry would be one: edgeai sends nothing."""
    code = (
        "import edgeai, os, onnxruntime; print(len(os.listdir('/proc/self/task')), os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    told = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True).split()
    assert told == ["1", "1"]


def test_threads_may_load_the_bindings_at_once() -> None:
    code = (
        "import sys, threading; from edgeai.backends.llama_native import bindings\n"
        "sys.setswitchinterval(1e-6)\n"
        "begin, loaded = threading.Barrier(8), []\n"
        "threads = [threading.Thread(target=lambda: (begin.wait(), loaded.append(bindings()))) for _ in range(8)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "assert len(loaded) == 8 and len(set(loaded)) == 1"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_session_is_imported_where_it_is_wanted() -> None:
    code = (
        "import sys, edgeai; assert 'edgeai.session' not in sys.modules\n"
        "assert edgeai.Session.__module__ == 'edgeai.session'; from edgeai import Session; from edgeai import *"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_conversations_without_documents_do_without_what_documents_need() -> None:
    code = (
        "import sys, edgeai.session\n"
        "wanted = [name for name in sys.modules if name.startswith('edgeai.documents.')]\n"
        "assert set(wanted) <= {f'edgeai.documents.{name}' for name in ('ground', 'prompt_text', 'types')}, wanted"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_all_is_exact() -> None:
    assert all(hasattr(edgeai, name) for name in edgeai.__all__)
    public = {
        name
        for name, value in vars(edgeai).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType) and name != "annotations"
    }
    assert set(edgeai.__all__) == public | {"__version__"}
