"""The options by which commands choose a microphone and a speaker."""

from __future__ import annotations

import click

input_option = click.option(
    "--input", "input_name", metavar="NAME", help="The microphone: a part of its name (`edgeai devices` lists them)."
)
echo_option = click.option(
    "--echo",
    type=click.Choice(["mute", "none"]),
    default="mute",
    show_default=True,
    help="In a conversation by voice: mute does not listen while an answer sounds, for loudspeakers, which the "
    "microphone hears. none listens all the time, for headphones and headsets: speak, and the answer stops.",
)
output_option = click.option("--output", "output_name", metavar="NAME", help="The speaker: a part of its name.")
