"""The microphones and speakers of this machine."""

from __future__ import annotations

from edgeai.errors import AudioDeviceError
from edgeai.safe_text import one_line
from edgeai.speech.device import WORDS, Device, Kind
from edgeai.speech.portaudio import load_portaudio, reason

_MAX_NAMES = 8


def devices() -> tuple[Device, ...]:
    """All microphones and speakers, those that are taken by default first.

    They are those that were there when a process first asked, less those that another program held for itself.

    Raises:
        AudioDeviceError: there is no PortAudio, or it fails.
    """
    sounddevice = load_portaudio()
    try:
        hosts, found = sounddevice.query_hostapis(), sounddevice.query_devices()
        defaults = dict(zip(("input", "output"), sounddevice.default.device, strict=True))
    except sounddevice.PortAudioError as exc:
        raise AudioDeviceError(f"the sound system fails ({reason(exc)}): look at it with its own tools") from exc
    kinds: tuple[Kind, Kind] = ("input", "output")
    listed = [
        Device(
            name=one_line(info["name"]),
            kind=kind,
            host=one_line(hosts[info["hostapi"]]["name"]),
            n_channels=info[f"max_{kind}_channels"],
            sample_rate_hz=int(info["default_samplerate"]),
            is_default=index == defaults[kind],
            index=index,
        )
        for kind in kinds
        for index, info in enumerate(found)
        if info[f"max_{kind}_channels"] > 0
    ]
    return tuple(sorted(listed, key=lambda device: (device.kind, not device.is_default, device.index)))


def find_device(kind: Kind, name: str | None = None) -> Device:
    """The default device, or the one whose name contains `name`.

    Raises:
        AudioDeviceError: there is none, or more than one.
    """
    known = [device for device in devices() if device.kind == kind]
    word = WORDS[kind]
    if not known:
        raise AudioDeviceError(
            f"there is no {word} here, or another program holds it: plug one in, or close that program, and start "
            "again; typing and files work without"
        )
    if name is None:
        return known[0]
    exact = [device for device in known if device.name.lower() == name.lower()]
    found = exact or [device for device in known if name.lower() in device.name.lower()]
    names = _names(found or known)
    if not found:
        raise AudioDeviceError(
            f"no {word} is called {one_line(name)[:80]!r}: expected a part of one of {names}; one that another program "
            "holds, or that was plugged in after the start, is not seen"
        )
    if len({device.name for device in found}) > 1:
        raise AudioDeviceError(f"{one_line(name)!r} is part of more than one {word}'s name: choose one of {names}")
    return found[0]


def _names(found: list[Device]) -> str:
    names = list(dict.fromkeys(repr(device.name) for device in found))
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(names[:_MAX_NAMES]) + more
