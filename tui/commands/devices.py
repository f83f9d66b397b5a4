"""`edgeai devices`: microphones and speakers."""

from __future__ import annotations

from dataclasses import asdict

import click

from tui.output import console, print_json, table


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> int:
    """List the microphones and speakers of this machine.

    A part of a name chooses one in other commands: `edgeai say --output NAME`, `edgeai listen --input NAME`.
    """
    from edgeai.speech.devices import devices

    found = devices()
    if as_json:
        print_json([asdict(device) for device in found])
        return 0
    if not found:
        click.echo("There is no microphone and no speaker here.")
        return 0
    rows = table("", "name", "system", "channels", "rate", right=("channels", "rate"))
    for device in found:
        kind = "microphone" if device.kind == "input" else "speaker"
        name = device.name + (" (default)" if device.is_default else "")
        rows.add_row(kind, name, device.host, str(device.n_channels), f"{device.sample_rate_hz:,} Hz")
    console().print(rows)
    return 0
