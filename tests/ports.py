"""Ports for programs that want to be told one."""

from __future__ import annotations

import itertools
import os
import socket

_next = itertools.count(20_000 + os.getpid() % 8_000)
"""Below the range that systems hand out by themselves, so that nobody is given the port before it is used."""


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM, address: str = "127.0.0.1") -> int:
    """One that nobody has, and that this function gives only once."""
    for port in _next:
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")
