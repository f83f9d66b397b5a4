"""The options by which commands choose a microphone and a speaker."""

from __future__ import annotations

import click

input_option = click.option(
    "--input", "input_name", metavar="NAME", help="The microphone: a part of its name (`edgeai devices` lists them)."
)
output_option = click.option("--output", "output_name", metavar="NAME", help="The speaker: a part of its name.")
