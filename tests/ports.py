"""Ports for servers that tests start in other processes."""

import random
import socket

_OURS = range(20_000, 32_000)
"""Below those that systems give to connections of their own accord: between choosing one and listening on it, which may
take a minute, nobody else gets it."""


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    chance = random.SystemRandom()
    while True:
        port = chance.choice(_OURS)
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
