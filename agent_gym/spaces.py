"""The space of free text."""

from __future__ import annotations

import string
from typing import Any, NoReturn

import gymnasium as gym
from gymnasium.error import CustomSpaceError
from gymnasium.vector.utils.shared_memory import create_shared_memory, read_from_shared_memory

MAX_LENGTH = 1_000_000
"""Longest text, in characters, that belongs to the space unless told otherwise."""

_SAMPLE_CHARACTERS = string.ascii_letters + string.digits + " "


class FreeText(gym.spaces.Text):
    """All strings up to a length, in any script.

    `gymnasium.spaces.Text` tests each character against a set that by default lacks even the blank. Here membership
    means type and length only; samples are drawn from letters, digits and blanks, at most `sample_length` long.

    Shared memory is refused with `CustomSpaceError`: with it, `AsyncVectorEnv` would silently cut text to the size of
    its first buffer. Pass
    `shared_memory=False` to it instead.
    """

    def __init__(self, max_length: int = MAX_LENGTH, *, sample_length: int = 40, seed: int | None = None) -> None:
        """Create the space of strings of 0 to `max_length` characters."""
        super().__init__(max_length, min_length=0, charset=_SAMPLE_CHARACTERS, seed=seed)
        self.sample_length = sample_length

    def contains(self, x: Any) -> bool:
        """Return whether `x` is a string that is not too long."""
        return isinstance(x, str) and len(x) <= self.max_length

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """Return at most `sample_length` random letters, digits and blanks; masks have no meaning for free text."""
        length = int(self.np_random.integers(0, self.sample_length + 1))
        return "".join(_SAMPLE_CHARACTERS[i] for i in self.np_random.integers(0, len(_SAMPLE_CHARACTERS), size=length))

    def __eq__(self, other: object) -> bool:
        """Two spaces are equal when they allow the same lengths."""
        return isinstance(other, FreeText) and self.max_length == other.max_length

    __hash__ = None  # type: ignore[assignment]  # spaces are mutable (they hold a random state), as in Gymnasium

    def __repr__(self) -> str:
        """Return the constructor call."""
        return f"FreeText({self.max_length})"


def _refuse(*_args: Any, **_kwargs: Any) -> NoReturn:
    raise CustomSpaceError(
        "FreeText has no fixed size, so it can't be vectorised with shared memory: "
        "pass shared_memory=False to AsyncVectorEnv, or vector_kwargs={'shared_memory': False} to make_vec."
    )


create_shared_memory.register(FreeText)(_refuse)
read_from_shared_memory.register(FreeText)(_refuse)
