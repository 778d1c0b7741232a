"""The socket of a server: had before anything else is loaded, so that a port that is taken is told at once."""

from __future__ import annotations

import socket
from ipaddress import ip_address

__all__ = ["is_loopback", "listen"]


def is_loopback(address: str) -> bool:
    """Of this host alone. A name is none."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections there; with port 0 on one that is free. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    found = socket.socket(family, kind, protocol)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(2048)
    except BaseException:
        found.close()
        raise
    return found
