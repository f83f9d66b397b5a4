"""No connections to other machines: an audit hook that refuses them, whoever in this process asks.

The command line closes the network by default; `edgeai models pull` opens it for itself. An application that embeds
edgeai may connect to whatever it likes: there, the hook is set when EDGEAI_OFFLINE=1 stands in the environment before
`import edgeai`, or when the application calls `refuse_network()`.

A name that is handed to `socket.connect` itself is looked up by Python before the hook is asked; the connection is
refused all the same.

Source of the events: "Audit events table" of Python's documentation.
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

_WITH_ADDRESS = ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg")
_WITH_NAME = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
_LOCAL_FAMILIES = tuple(getattr(socket, name) for name in ("AF_UNIX", "AF_NETLINK") if hasattr(socket, name))
_GO_BETWEENS = ("socket", "ssl", "http", "urllib", "asyncio", "selectors", "concurrent", "threading")

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
    if not event.startswith("socket.") or _n_allowing:
        return
    if event in _WITH_ADDRESS:
        if not _is_local(arguments[0].family, arguments[1]):
            raise _error(f"to {'listen at' if event == 'socket.bind' else 'connect to'} {_text(arguments[1])}")
    elif event in _WITH_NAME and not _needs_no_lookup(arguments[0]):
        raise _error(f"to look up {_text(arguments[0])}")


def _is_local(family: int, address: Any) -> bool:
    if family in _LOCAL_FAMILIES or address is None:  # None: sent over a connection that exists
        return True
    is_internet = family in (socket.AF_INET, socket.AF_INET6)
    return is_internet and isinstance(address, tuple) and len(address) > 1 and _is_loopback(address[0])


def _is_loopback(host: Any) -> bool:
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("ascii", "replace")
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _needs_no_lookup(host: Any) -> bool:
    """Whether a host is this machine, or a number, which nobody has to be asked about."""
    if host is None or host in ("", b"") or _is_loopback(host):
        return True
    try:
        ipaddress.ip_address(host.decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else host)
    except ValueError:
        return False
    return True


def _error(attempt: str) -> OfflineError:
    return OfflineError(
        f"{_who(sys._getframe(2))} tried {attempt}: edgeai works offline, only `edgeai models pull` may use the "
        f"network ({VARIABLE}=0 allows it)"
    )


def _who(frame: FrameType | None) -> str:
    """The innermost code that is not the standard library's way to a socket."""
    while frame is not None:
        name = str(frame.f_globals.get("__name__", "?"))
        if name != __name__ and name.partition(".")[0] not in _GO_BETWEENS:
            return f"{name} ({frame.f_code.co_filename}:{frame.f_lineno})"
        frame = frame.f_back
    return f"thread {threading.current_thread().name}"


def _text(value: Any) -> str:
    return ":".join(map(str, value[:2])) if isinstance(value, tuple) else str(value)
