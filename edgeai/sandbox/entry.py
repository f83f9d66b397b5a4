"""Entering the sandbox: each bound is applied where the system has it, and what it lacks is said, not raised."""

from __future__ import annotations

import os
import sys

from edgeai.sandbox.policy import Policy, Report

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def enter(policy: Policy) -> Report:
    """Close the sandbox round this process; it cannot be opened again.

    Call it in the only thread of the process: Landlock bounds the thread that calls it and those it starts later.
    Import, or map, what is needed later from places the policy does not name before.
    """
    from edgeai.sandbox.limits import set_limits

    applied, missing = set_limits(policy)
    if sys.platform == "linux":
        from edgeai.sandbox import landlock, seccomp
        from edgeai.sandbox.linux import forbid_dumps, forbid_new_privileges

        if forbid_new_privileges():
            for bound in (forbid_dumps, lambda: landlock.restrict(policy), lambda: seccomp.restrict(policy)):
                new, lacking = bound()
                applied += new
                missing += lacking
        else:
            missing.append("Landlock and seccomp (the kernel does not know no_new_privs)")
    else:
        missing.append("files, network and system calls (only Linux can bound them for a process without privileges)")
    return Report(tuple(applied), tuple(missing))


def die_with_parent(parent_pid: int) -> None:
    """End this process when the thread that started it ends, or at once if its process, `parent_pid`, already has.

    Linux only; elsewhere a closed pipe has to tell.
    """
    if sys.platform == "linux":
        from edgeai.sandbox.linux import prctl

        prctl(_PR_SET_PDEATHSIG, _SIGKILL)
        if os.getppid() != parent_pid:
            os._exit(0)
