"""Trying a speaker and a microphone: a tone that is to be heard, and a level that is to move."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from edgeai import AudioDeviceError
from edgeai.safe_text import one_line
from tui.output import message, print_json
from tui.progress_line import ProgressLine

if TYPE_CHECKING:
    from edgeai.speech.level import Level

_TONE_HZ, _TONE_S, _TONE_PEAK, _FADE_S = 440.0, 1.0, 0.25, 0.02
_SHOW_EVERY_S = 0.1
_BAR_CELLS, _BAR_DBFS = 20, 60.0


def try_devices(input_name: str | None, output_name: str | None, seconds: float, *, as_json: bool) -> int:
    """Try the speaker, then the microphone, and print what came of it.

    Returns:
        The exit code: 1 where one of them failed.
    """
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "speaker": lambda: _play(output_name),
        "microphone": lambda: _listen(input_name, seconds),
    }
    found: dict[str, dict[str, Any]] = {}
    for kind, part in parts.items():
        try:
            found[kind] = part()
        except AudioDeviceError as exc:
            found[kind] = {"error": str(exc)}
        if not as_json:
            _print(kind, found[kind])
    if as_json:
        print_json(found)
    return int(any("error" in facts for facts in found.values()))


def _play(name: str | None) -> dict[str, Any]:
    import numpy as np

    from edgeai.speech.devices import Speaker

    with closing(Speaker(name)) as speaker, ProgressLine() as line:
        line.show(f"playing a tone through {speaker.device.name}")
        moments = np.arange(round(_TONE_S * speaker.sample_rate_hz)) / speaker.sample_rate_hz
        edges = np.clip(np.minimum(moments, _TONE_S - moments) / _FADE_S, 0, 1)  # without, it clicks
        speaker.write((_TONE_PEAK * edges * np.sin(2 * np.pi * _TONE_HZ * moments)).astype(np.float32))
        speaker.drain()
        return {"name": speaker.device.name, "tone_hz": _TONE_HZ, "duration_s": _TONE_S}


def _listen(name: str | None, seconds: float) -> dict[str, Any]:
    import numpy as np

    from edgeai.speech.devices import Microphone
    from edgeai.speech.level import level

    blocks, shown_at = [np.zeros(0, np.float32)], 0.0
    with closing(Microphone(name)) as microphone, ProgressLine() as line:
        n_wanted = round(seconds * microphone.sample_rate_hz)
        while n_wanted > 0 and (block := microphone.read()) is not None:
            blocks.append(block[:n_wanted])
            n_wanted -= len(block)
            if time.monotonic() - shown_at > _SHOW_EVERY_S:
                shown_at = time.monotonic()
                line.show(f"say something  {_bar(level(block))}")
        heard = level(np.concatenate(blocks))
        return {
            "name": microphone.device.name,
            "duration_s": seconds,
            "peak_dbfs": _finite(heard.peak_dbfs),
            "rms_dbfs": _finite(heard.rms_dbfs),
            "clipped_share": heard.clipped_share,
            "remark": _remark(heard),
        }


def _print(kind: str, facts: dict[str, Any]) -> None:
    if "error" in facts:
        message("error", facts["error"], "red")
        return
    name = one_line(facts["name"])
    if kind == "speaker":
        click.echo(f"speaker     {name}: a tone of {facts['duration_s']:.0f} s was played")
        return
    click.echo(
        f"microphone  {name}: peak {_dbfs_text(facts['peak_dbfs'])}, RMS {_dbfs_text(facts['rms_dbfs'])}, "
        f"{facts['clipped_share']:.1%} clipped"
    )
    if facts["remark"]:
        click.echo(f"            {facts['remark']}")


def _remark(heard: Level) -> str | None:
    if heard.is_silent:
        return "silence: is it muted, or is another microphone meant (--input NAME)?"
    if heard.clipped_share:
        return "too loud: turn its level down"
    return None


def _bar(heard: Level) -> str:
    cells = round(_BAR_CELLS * max(0.0, 1 + heard.peak_dbfs / _BAR_DBFS))
    return f"{'█' * cells}{'░' * (_BAR_CELLS - cells)} {_dbfs_text(_finite(heard.peak_dbfs))}"


def _finite(decibels: float) -> float | None:
    return round(decibels, 1) + 0.0 if math.isfinite(decibels) else None


def _dbfs_text(decibels: float | None) -> str:
    return "-∞ dBFS" if decibels is None else f"{decibels:.1f} dBFS"
