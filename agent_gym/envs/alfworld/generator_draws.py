"""Random draws that stay the same over numpy versions, because they use only the guaranteed part of a generator."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
_BLOCK = 256


class Draws:
    """A stream of draws named by a text.

    Numpy guarantees the streams of its seed sequence and of PCG64, but not what ``Generator.choice`` or ``shuffle``
    make of them in later versions; the lists of test games must not depend on that.
    """

    def __init__(self, name: str) -> None:
        """Start the stream that belongs to ``name``; equal names give equal streams everywhere."""
        entropy = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "little")
        self._bits = np.random.PCG64(np.random.SeedSequence(entropy))
        self._block: list[int] = []

    def uniform(self) -> float:
        """A number in [0, 1), with 53 random bits."""
        if not self._block:
            self._block = self._bits.random_raw(_BLOCK).tolist()
        return (self._block.pop() >> 11) * 2.0**-53

    def below(self, limit: int) -> int:
        """An integer from 0 to ``limit - 1``."""
        return int(self.uniform() * limit)

    def choice(self, options: Sequence[T]) -> T:
        """One of the options, each as likely."""
        return options[self.below(len(options))]

    def weighted(self, options: Sequence[T], weights: Sequence[float]) -> T:
        """One of the options, as likely as its weight says; weights need not sum to one."""
        rest = self.uniform() * sum(weights)
        for option, weight in zip(options, weights, strict=True):
            rest -= weight
            if rest < 0:
                return option
        return options[-1]

    def shuffled(self, options: Sequence[T]) -> list[T]:
        """All options in random order."""
        result = list(options)
        for last in range(len(result) - 1, 0, -1):
            other = self.below(last + 1)
            result[last], result[other] = result[other], result[last]
        return result
