"""The tables of system calls agree with the kernel's headers, where these are installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgeai.sandbox.syscalls import ALWAYS, CHECKED, SETUP, WRITING

HEADERS = (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), Path("/usr/include/asm-generic/unistd.h"))
OTHER_NAMES = {"fstatat": "newfstatat"}


@pytest.mark.parametrize("column", [0, 1], ids=["x86_64", "aarch64"])
def test_numbers_are_the_kernels(column: int) -> None:
    if not HEADERS[column].exists():
        pytest.skip(f"{HEADERS[column]} is not installed")
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", HEADERS[column].read_text())
    kernel = {OTHER_NAMES.get(name, name): int(number) for name, number in found}
    for name, numbers in (ALWAYS | WRITING | CHECKED | SETUP).items():
        assert numbers[column] == kernel.get(name), name


def test_nothing_dangerous_is_in_the_lists() -> None:
    dangerous = (
        "socket socketpair connect bind listen accept accept4 sendto sendmsg execve execveat fork vfork clone3 "
        "ptrace "
        "process_vm_readv process_vm_writev pidfd_open pidfd_getfd io_uring_setup bpf perf_event_open userfaultfd "
        "mount umount2 unshare setns keyctl add_key request_key init_module finit_module kexec_load reboot swapon "
        "chroot "
        "pivot_root open_by_handle_at fanotify_init mknod mknodat symlink symlinkat link linkat setuid setgid capset "
        "personality memfd_create tkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal shmget shmat semget"
    )
    assert not set(dangerous.split()) & set(ALWAYS | WRITING)
