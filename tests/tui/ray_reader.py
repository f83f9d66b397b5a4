"""`edgeai docs` with readers on a cluster, of which one is killed."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from edgeai.documents import read_cluster
from edgeai.documents.read_cluster import Reading, Worker
from tui.cli import main

KILLED_AT = "note3.md"


class Killed(Worker):
    """Kills its process when it gets a certain file for the first time."""

    def __call__(self, name: bytes) -> Reading:
        path = Path(os.fsdecode(name))
        if path.name == KILLED_AT and not (mark := path.parent.with_name("killed")).exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(name)


if __name__ == "__main__":
    read_cluster.Worker = Killed  # type: ignore[misc]
    sys.exit(main(sys.argv[1:]))
