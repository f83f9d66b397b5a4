"""`edgeai detect`: where things are in a picture."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tui.output import console, print_json, table
from tui.progress_line import ProgressLine
from tui.session_options import given, load_options, open_session

if TYPE_CHECKING:
    from edgeai.vision.grounding import Detection
    from edgeai.vision.picture import LoadedPicture


@click.command()
@click.argument("picture", type=click.Path(path_type=Path))
@click.argument("labels", nargs=-1, required=True)
@load_options
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write a marked copy."
)
@click.option("--style", metavar="NAME", default="auto", show_default=True, help="How the model writes boxes.")
@click.option(
    "--detector",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="The ONNX folder of an OWL-ViT, OWLv2 or Grounding DINO, which looks instead of a model.",
)
@click.option("--threshold", type=click.FloatRange(0, 1), help="Least score of what a detector finds.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    picture: Path,
    labels: tuple[str, ...],
    output: Path | None,
    style: str,
    detector: Path | None,
    threshold: float | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Find LABELS in a PICTURE.

    \b
      edgeai detect photo.jpg bolt "red wire" -o marked.png

    It takes a model that sees and that was trained to say where things are, such as Qwen3-VL, or a detector. Boxes are
    in pixels of the picture: left, top, right, bottom. The exit code is 1 where nothing is found.
    """
    if threshold is not None and detector is None:
        raise click.UsageError("--threshold goes with --detector: a model that sees gives no scores.")
    from edgeai.vision.detect import checked_labels
    from edgeai.vision.marking import checked_path, save_marked
    from edgeai.vision.picture import load_picture

    checked_labels(labels)
    if output is not None:
        checked_path(output)
    loaded = load_picture(picture)
    if detector is not None:
        found = _through(detector, loaded, labels, threshold)
    else:
        with (
            ProgressLine() as line,
            open_session(options.pop("model"), **given({**options, "on_load_progress": line.loading})) as session,
        ):
            line.start()
            found = session.detect(picture, labels, style=style)
    if output is not None:
        save_marked(loaded.medium, found, (loaded.width, loaded.height), output)
    _print(found, loaded, as_json)
    return int(not found)


def _through(
    detector: Path, picture: LoadedPicture, labels: tuple[str, ...], threshold: float | None
) -> list[Detection]:
    from edgeai.vision.onnx_detector import detect_with

    with ProgressLine() as line:
        line.start()
        return detect_with(detector, picture, labels, threshold)


def _print(found: list[Detection], picture: LoadedPicture, as_json: bool) -> None:
    if as_json:
        size = {"width": picture.width, "height": picture.height}
        print_json({**size, "detections": [asdict(detection) for detection in found]})
        return
    if not found:
        click.echo("nothing is found", err=True)
        return
    edges = ("left", "top", "right", "bottom")
    columns = (*edges, "score") if found[0].score is not None else edges
    listing = table("what", *columns, right=columns)
    for detection in found:
        score = () if detection.score is None else (f"{detection.score:.2f}",)
        listing.add_row(detection.label, *(f"{edge:.0f}" for edge in detection.box), *score)
    console().print(listing)
