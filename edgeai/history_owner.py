"""Which process is making an answer, and whether it still runs."""

from __future__ import annotations

import functools

# Process start times are computed from the machine's boot time, which moves when the clock is set.
_TOLERANCE_S = 2.0


@functools.cache
def this_process() -> str:
    """A name of this process that no later one has: its number and when it started."""
    import psutil

    process = psutil.Process()
    return f"{process.pid} {process.create_time():.2f}"


def is_alive(owner: str | None) -> bool:
    """Whether the process of this name still runs."""
    import psutil

    try:
        pid, started = (owner or "").split()
        process = psutil.Process(int(pid))
        return abs(process.create_time() - float(started)) < _TOLERANCE_S and process.status() != psutil.STATUS_ZOMBIE
    except (ValueError, OverflowError, psutil.NoSuchProcess):
        return False
    except psutil.AccessDenied:  # another user's process
        return True
