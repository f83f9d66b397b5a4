"""The options of commands that can work on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from edgeai.cluster import Cluster

_Function = TypeVar("_Function", bound=Callable[..., Any])


def ray_options(function: _Function) -> _Function:
    """Adds --ray and --workers; `cluster_of` takes them."""
    n_workers = click.option(
        "--workers", type=click.IntRange(1), metavar="N", help="Processes on the cluster; by default they fill it."
    )
    address = click.option(
        "--ray", metavar="ADDRESS|auto", help="Work on a Ray cluster; `local` starts one on this machine."
    )
    return address(n_workers(function))


def cluster_of(options: dict[str, Any]) -> Cluster | None:
    """Take the cluster out of a command's keywords; None where none is asked for.

    Raises:
        click.UsageError: there are workers without a cluster.
        OptionError: Ray is not installed, or nobody answers at the address.
    """
    asked = take_address(options)
    if asked is None:
        return None
    from edgeai.cluster import Cluster

    return Cluster(*asked)


def take_address(options: dict[str, Any]) -> tuple[str, int | None] | None:
    """Take the address and the number of workers out of a command's keywords; None where no cluster is asked for.

    Raises:
        click.UsageError: there are workers without a cluster.
    """
    address, n_workers = options.pop("ray"), options.pop("workers")
    if address is not None:
        return address, n_workers
    if n_workers is not None:
        raise click.UsageError("--workers are those of a cluster: give it with --ray ADDRESS, auto or local")
    return None
