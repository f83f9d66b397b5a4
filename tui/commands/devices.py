"""`edgeai devices`: microphones and speakers, and whether they work."""

from __future__ import annotations

from dataclasses import asdict

import click

from tui.audio_options import input_option, output_option
from tui.output import console, print_json, table


@click.command()
@click.option("--test", is_flag=True, help="Play a tone, then show how loud the microphone is.")
@click.option("--seconds", type=click.FloatRange(0.5, 600), default=3.0, show_default=True, help="To listen for.")
@input_option
@output_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(test: bool, seconds: float, input_name: str | None, output_name: str | None, as_json: bool) -> int:
    """List the microphones and speakers of this machine, or try one of each.

    \b
      edgeai devices
      edgeai devices --test --output headset --input headset

    A part of a name chooses one in other commands too: `edgeai say --output NAME`, `edgeai listen --input NAME`.
    """
    if test:
        from tui.device_trial import try_devices

        return try_devices(input_name, output_name, seconds, as_json=as_json)
    if input_name or output_name:
        raise click.UsageError("--input and --output choose what is tried: give --test too.")
    return _list(as_json=as_json)


def _list(*, as_json: bool) -> int:
    from edgeai.speech.devices import devices

    found = devices()
    if as_json:
        print_json([asdict(device) for device in found])
        return 0
    if not found:
        click.echo("There is no microphone and no speaker here, or other programs hold them.")
        return 0
    rows = table("", "name", "system", "channels", "rate", right=("channels", "rate"))
    for device in found:
        kind = "microphone" if device.kind == "input" else "speaker"
        name = device.name + (" (default)" if device.is_default else "")
        rows.add_row(kind, name, device.host, str(device.n_channels), f"{device.sample_rate_hz:,} Hz")
    console().print(rows)
    return 0
