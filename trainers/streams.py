"""Numbers of random streams: what an episode, a draw or a shuffle belongs to says which random numbers it gets."""

import hashlib
import struct


def stream(*numbers: int) -> int:
    """Return the number of a random stream that belongs to these numbers alone, from 0 to 2⁶³ − 1."""
    packed = struct.pack(f"<{len(numbers)}q", *numbers)
    return int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest(), "little") >> 1
