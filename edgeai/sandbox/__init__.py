"""A sandbox for processes that read hostile files: those who enter cannot leave, and nothing else is changed.

On Linux three mechanisms of the kernel, each as strong as it is there, and none of them needs rights:
Landlock (which files can be opened, no TCP), seccomp (which system calls can be made, with which arguments) and
resource limits. `Report` says what was applied and what is missing.

What stays possible: to compute, to read what the policy names, to see of any file whether it exists, its size and
times (not its contents), to write to the pipes that were open before, and to crash.
"""

from __future__ import annotations

import sys

from edgeai.sandbox.policy import Policy, Report

__all__ = ["Policy", "Report", "die_with_parent", "enter", "runtime_paths"]


def enter(policy: Policy) -> Report:
    """Restrict this process for ever. Import and open before what shall not be restricted.

    Threads: the system call filter holds in all of them. The file rules hold in the thread that calls and in those
    that are started later; in those that exist already only from Landlock's ABI 8 on. So call it while there is one
    thread.

    Returns:
        What was applied and what is missing; it raises nothing for what a kernel or a platform lacks.
    """
    if _is_linux():
        from edgeai.sandbox.linux import enter_linux

        return enter_linux(policy)
    from edgeai.sandbox.limits import limit

    report = limit(policy)
    name = {"darwin": "macOS", "win32": "Windows", "linux": "Android"}.get(sys.platform, sys.platform)
    return Report(
        report.applied,
        (
            *report.missing,
            f"files: there is no Landlock on {name}, what the user can read can be read",
            f"system calls: there is no seccomp filter on {name}, sockets can be opened and programs started",
        ),
    )


def die_with_parent(parent_pid: int) -> None:
    """Let the kernel kill this process when its parent's *thread* that started it ends, however it ends.

    Ends the process at once if the parent is gone already. Outside of Linux it does nothing.
    """
    if sys.platform == "linux":
        from edgeai.sandbox.linux import die_with_parent_linux

        die_with_parent_linux(parent_pid)


def runtime_paths() -> tuple[str, ...]:
    """What Python and native libraries read while they run: always readable in a sandbox."""
    from edgeai.sandbox.paths import existing_runtime_paths

    return existing_runtime_paths()


def _is_linux() -> bool:
    """Whether the kernel may be asked: Android ends a process that makes calls which its own filter does not know."""
    return sys.platform == "linux" and not hasattr(sys, "getandroidapilevel")
