"""A random state of one's own for code that draws from the global generators of Python and NumPy."""

from __future__ import annotations

import hashlib
import random
import threading
from types import TracebackType

import numpy as np

_ONE_AT_A_TIME = threading.RLock()
"""There is one global state in a process: two threads must not swap it at once."""


class LocalRandom:
    """A state of the global generators that is in force within a `with` block only.

    Outside, the process's own state is what it was: whoever draws from `random` or `numpy.random` does not notice.
    Inside, the state goes on where the last block left it. A thread that draws from the global generators while another
    is within a block gets numbers of that block; the blocks themselves wait for one another.

    Blocks of one object do not nest.

    Example:
        >>> import random
        >>> dice = LocalRandom(7)
        >>> with dice:
        ...     first = random.random()
        >>> outside = random.getstate()
        >>> with dice:
        ...     second = random.random()
        >>> random.getstate() == outside
        True
        >>> [first, second] == [random.Random(7).random(), second] and first != second
        True
    """

    def __init__(self, seed: int) -> None:
        """Begin as after `random.seed(seed)` and `numpy.random.seed(seed)`; 0 to 2³² − 1."""
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Begin anew."""
        self._python = random.Random(seed).getstate()
        self._numpy = np.random.RandomState(seed).get_state(legacy=False)
        self._digest = ""

    def __enter__(self) -> None:
        _ONE_AT_A_TIME.acquire()
        self._outside = random.getstate(), np.random.get_state(legacy=False)
        random.setstate(self._python)
        np.random.set_state(self._numpy)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        python, numpy = random.getstate(), np.random.get_state(legacy=False)
        if python != self._python or not _same(numpy, self._numpy):
            self._python, self._numpy, self._digest = python, numpy, ""
        random.setstate(self._outside[0])
        np.random.set_state(self._outside[1])
        _ONE_AT_A_TIME.release()

    def digest(self) -> str:
        """Return a short text that stands for the state."""
        if not self._digest:
            parts = hashlib.blake2b(repr(self._python).encode(), digest_size=8)
            parts.update(self._numpy["state"]["key"].tobytes())
            parts.update(repr((self._numpy["state"]["pos"], self._numpy["gauss"])).encode())
            self._digest = parts.hexdigest()
        return self._digest


def _same(one: dict[str, object], other: dict[str, object]) -> bool:
    """Whether two states of NumPy's generator are equal; the position alone changes with nearly every draw."""
    first, second = one["state"], other["state"]
    assert isinstance(first, dict) and isinstance(second, dict)  # noqa: PT018  what legacy=False gives
    return bool(
        first["pos"] == second["pos"]
        and one["has_gauss"] == other["has_gauss"]
        and one["gauss"] == other["gauss"]
        and np.array_equal(first["key"], second["key"])
    )
