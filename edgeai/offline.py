"""No connections to other machines: an audit hook that refuses them, whoever in this process asks.

The command line closes the network by default; `edgeai models pull` opens it for itself. An application that embeds
edgeai may connect to whatever it likes: there, the hook is set when EDGEAI_OFFLINE=1 stands in the environment before
`import edgeai`, or when the application calls `refuse_network()`.

What the hook does not see: what native code asks of the system by itself; the lookup of a name that is handed to
`socket.connect` directly (Python does it first; the connection is refused all the same); and on Windows, where asyncio
connects by calls of its own (`ConnectEx`), its connections to an address in numbers. To names they are refused.

Source of the events: "Audit events table" of Python's documentation; for what asyncio does on Windows:
Modules/overlapped.c of CPython, which raises none.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from edgeai.errors import OfflineError, OptionError

VARIABLE = "EDGEAI_OFFLINE"

_WITH_ADDRESS = {
    "socket.connect": "connect to",
    "socket.bind": "listen at",
    "socket.sendto": "send to",
    "socket.sendmsg": "send to",
}
_WITH_NAME = ("socket.getaddrinfo", "socket.gethostbyname")
_WITH_NUMBER = ("socket.gethostbyaddr", "socket.getnameinfo")  # its name is asked for, of a server too
_LOCAL_FAMILIES = tuple(getattr(socket, name) for name in ("AF_UNIX", "AF_NETLINK") if hasattr(socket, name))
_N_SHOWN = 200

_lock = threading.Lock()
_installed = False
_n_allowing = 0


def is_wanted(default: bool) -> bool:
    """Whether EDGEAI_OFFLINE says so; `default` where it is not set.

    Raises:
        OptionError: it is neither 0 nor 1.
    """
    value = os.environ.get(VARIABLE, "")
    if value not in ("", "0", "1"):
        raise OptionError(f"{VARIABLE} = {value!r}: expected 1 (no network, the default) or 0")
    return value == "1" if value else default


def refuse_network() -> None:
    """From now on refuse connections to other machines, and lookups of their names, in the whole process.

    Audit hooks cannot be taken away; `network_allowed` opens the network for a while.
    """
    global _installed
    with _lock:
        if not _installed:
            sys.addaudithook(_hook)
            _installed = True


@contextmanager
def network_allowed() -> Iterator[None]:
    """Let all threads connect while the block runs."""
    global _n_allowing
    with _lock:
        _n_allowing += 1
    try:
        yield
    finally:
        with _lock:
            _n_allowing -= 1


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not event.startswith("socket.") or _n_allowing:  # first of all, since every import and open() comes by here
        return
    first, second = (*arguments, None, None)[:2]  # others may raise events of these names, with what they like
    if event in _WITH_ADDRESS:
        if not _is_local(getattr(first, "family", None), second):
            raise _error(f"to {_WITH_ADDRESS[event]} {_text(second)}")
    elif event in _WITH_NAME:
        if not _needs_no_lookup(first):
            raise _error(f"to look up {_text(first)}")
    elif event in _WITH_NUMBER and not _is_loopback(first[0] if isinstance(first, tuple) and first else first):
        raise _error(f"to look up the name of {_text(first)}")


def _is_local(family: int | None, address: Any) -> bool:
    if family in _LOCAL_FAMILIES or address is None:  # None: sent over a connection that exists
        return True
    is_internet = family in (socket.AF_INET, socket.AF_INET6)
    return is_internet and isinstance(address, tuple) and len(address) > 1 and _is_loopback(address[0])


def _is_loopback(host: Any) -> bool:
    address = _as_number(host)
    if address is None:
        return _as_text(host).lower() == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _needs_no_lookup(host: Any) -> bool:
    """Whether a host is this machine, or a number, which nobody has to be asked about."""
    return host is None or not _as_text(host) or _as_number(host) is not None or _is_loopback(host)


def _as_number(host: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(_as_text(host))
    except ValueError:
        return None


def _as_text(host: Any) -> str:
    return host.decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else str(host)


def _error(attempt: str) -> OfflineError:
    return OfflineError(
        f"{_who(sys._getframe(2))} tried {attempt}: edgeai works offline, only `edgeai models pull` may use the "
        f"network ({VARIABLE}=0 allows it)"
    )


def _who(frame: FrameType | None) -> str:
    """The innermost code that is not the standard library's, whose ways to a socket explain nothing."""
    while frame is not None:
        name = str(frame.f_globals.get("__name__", "?"))
        if name != __name__ and name.partition(".")[0] not in sys.stdlib_module_names:
            return f"{name} ({frame.f_code.co_filename}:{frame.f_lineno})"
        frame = frame.f_back
    return f"thread {threading.current_thread().name}"


def _text(target: Any) -> str:
    """A host, or a host and its port, in one line of bounded length."""
    if isinstance(target, tuple) and len(target) > 1:
        host = _as_text(target[0])
        text = f"[{host}]:{target[1]}" if ":" in host else f"{host}:{target[1]}"
    else:
        text = _as_text(target)
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:_N_SHOWN])
