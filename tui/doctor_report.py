"""What `edgeai doctor` finds out: facts for programs, and warnings that say what to do."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgeai import AudioDeviceError, EdgeAIError
from edgeai.backends.llama_info import llama_info
from edgeai.catalog import Catalog
from edgeai.cgroup import cpu_quota, memory_limit
from edgeai.history import History
from edgeai.machine import machine
from edgeai.model_list import ModelFacts, all_models
from edgeai.onnx_providers import installed_providers, installed_version
from edgeai.paths import cache_dir, config_path, data_dir, history_path, models_dir
from edgeai.sandbox.probe import probe
from edgeai.speech.devices import devices
from edgeai.speech.weights import installed_speech
from tui.units import bytes_text

_LOW_DISK_BYTES = 1_000_000_000


@dataclass(slots=True)
class Report:
    """The findings.

    Attributes:
        facts: by section, values that JSON can say.
        warnings: what is wrong and what to do about it.
        models: those that are installed or known.
    """

    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    models: list[ModelFacts] = field(default_factory=list)

    def warn(self, problem: str, advice: str) -> None:
        self.warnings.append((problem, advice))

    def as_json(self) -> dict[str, Any]:
        """One JSON object."""
        models = [
            {
                "name": model.name,
                "installed": model.installed is not None,
                "default": model.is_default,
                "size_bytes": model.size_bytes,
                "memory_bytes": model.memory_bytes,
                "fits": model.fits,
                "problem": model.problem or None,
            }
            for model in self.models
        ]
        warnings = [{"problem": problem, "advice": advice} for problem, advice in self.warnings]
        return {**self.facts, "models": models, "warnings": warnings}


def examine() -> Report:
    """Look at everything. What cannot be looked at becomes a warning."""
    report = Report()
    sections: dict[str, Callable[[Report], dict[str, Any]]] = {
        "machine": _machine,
        "llama_cpp": _llama_cpp,
        "onnxruntime": _onnxruntime,
        "isolation": _isolation,
        "audio": _audio,
        "terminal": _terminal,
        "folders": _folders,
        "history": _history,
    }
    for name, look in sections.items():
        try:
            report.facts[name] = look(report)
        except (EdgeAIError, OSError) as exc:
            report.facts[name] = {}
            report.warn(f"{name.replace('_', '.')}: {exc}", "")
    try:
        _models(report)
    except (EdgeAIError, OSError) as exc:
        report.warn(f"models: {exc}", "")
    return report


def _machine(report: Report) -> dict[str, Any]:
    facts = machine()
    if "avx" in facts.cpu_features and "avx2" not in facts.cpu_features:
        report.warn("this processor has no AVX2: models run several times slower", "choose the smallest model")
    return {
        **asdict(facts),
        "cpu_features": list(facts.cpu_features),
        "threads": facts.usable_cores,
        "cpu_quota": cpu_quota(),
        "memory_limit_bytes": memory_limit(),
    }


def _llama_cpp(report: Report) -> dict[str, Any]:
    info = llama_info()
    has_avx2 = "avx2" in report.facts.get("machine", {}).get("cpu_features", ())
    if has_avx2 and "AVX2" not in info.features:
        report.warn(
            "llama.cpp was compiled without AVX2, which this processor has: models run several times slower",
            "compile it here: pip install --force-reinstall --no-binary :all: --no-deps llama-cpp-python",
        )
    return {**asdict(info), "features": list(info.features)}


def _onnxruntime(_report: Report) -> dict[str, Any]:
    """What runs ONNX models, and whether their tokenizers can be read."""
    return {
        "version": installed_version() or None,
        "providers": list(installed_providers()),
        "tokenizers": find_spec("tokenizers") is not None,
    }


def _isolation(report: Report) -> dict[str, Any]:
    """Whether models run in a process of their own, and what bounds it: tried, not believed."""
    try:
        sandbox = probe()
    except OSError as exc:
        report.warn(
            f"no engine process can be started: {exc}",
            'open sessions with isolation="none" (--isolation none), and only with models that you trust',
        )
        return {"mode": "none", "reason": str(exc), "applied": [], "missing": []}
    if sandbox.missing:
        advice = "use only models that you trust"
        if sys.platform == "linux":
            advice = f"use a kernel with Landlock and seccomp (Linux 6.12 or newer); until then {advice}"
        report.warn(f"the engine's sandbox has gaps: {'; '.join(sandbox.missing)}", advice)
    facts = asdict(sandbox)
    return {
        "mode": "process",
        "reason": "models run outside of the program that uses them",
        **facts,
        "applied": list(sandbox.applied),
        "missing": list(sandbox.missing),
    }


def _audio(report: Report) -> dict[str, Any]:
    """Microphones and speakers as PortAudio has them, and the weights of speech that are here."""
    facts: dict[str, Any] = {"microphones": [], "speakers": [], "problem": None, "weights": list(installed_speech())}
    try:
        found = devices()
    except AudioDeviceError as exc:
        report.warn("no microphone and no speaker can be used", str(exc))
        return {**facts, "problem": str(exc)}
    for device in found:
        kind = "microphones" if device.kind == "input" else "speakers"
        facts[kind].append({"name": device.name, "default": device.is_default})
    return facts


def _terminal(report: Report) -> dict[str, Any]:
    columns, lines = shutil.get_terminal_size()
    facts: dict[str, Any] = {
        "is_terminal": sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty(),
        "term": os.environ.get("TERM", ""),
        "true_color": os.environ.get("COLORTERM", "") in ("truecolor", "24bit"),
        "encoding": sys.stdout.encoding,
        "columns": columns,
        "lines": lines,
    }
    if facts["encoding"].lower().replace("-", "") != "utf8":
        report.warn(f"the terminal's encoding is {facts['encoding']}, not UTF-8", "export LANG=C.UTF-8")
    if facts["is_terminal"] and facts["term"] in ("", "dumb"):
        report.warn(
            "the terminal says it cannot draw: `edgeai chat` goes line by line", "set TERM, e.g. xterm-256color"
        )
    if facts["is_terminal"] and (columns < 80 or lines < 24):
        report.warn(f"the terminal has {columns}×{lines} cells", "80×24 or more is better for `edgeai chat`")
    return facts


def _folders(report: Report) -> dict[str, Any]:
    home = _nearest(data_dir())
    usage = shutil.disk_usage(home)
    if not os.access(home, os.W_OK):
        report.warn(f"{data_dir()} cannot be written", "change its rights, or set EDGEAI_HOME to another folder")
    if usage.free < _LOW_DISK_BYTES:
        report.warn(f"only {bytes_text(usage.free)} of disk are free for {data_dir()}", "free some space for models")
    return {
        "data": str(data_dir()),
        "models": str(models_dir()),
        "cache": str(cache_dir()),
        "config": str(config_path()),
        "free_bytes": usage.free,
    }


def _history(_report: Report) -> dict[str, Any]:
    path = history_path()
    if not path.exists():
        return {"path": str(path), "conversations": 0, "size_bytes": 0}
    with History(path) as history:
        return {
            "path": str(path),
            "conversations": len(history.conversations()),
            "size_bytes": path.stat().st_size,
        }


def _models(report: Report) -> None:
    report.models = all_models()
    installed = [model for model in report.models if model.installed]
    default = next((model for model in report.models if model.is_default), None)
    for model in installed:
        if model.problem:
            report.warn(f"{model.name}: {model.problem}", f"edgeai models verify {model.name}")
        elif model.fits is False:
            advice = "use a smaller --n-ctx, --type-k q8_0 --type-v q8_0 (half the KV cache), or a smaller model"
            report.warn(f"{model.name} needs more memory than is free", advice)
    if not installed:
        report.warn("no model is installed", f"edgeai models pull {Catalog.load().default_name}")
    elif default is None or not default.installed:
        name = default.name if default else "the default model"
        report.warn(f"{name} is not installed", f"edgeai models default {installed[0].name}")


def _nearest(path: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())
