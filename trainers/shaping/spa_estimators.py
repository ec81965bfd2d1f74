"""What SPA estimates contributions with: a linear model of counts, or a network that also sees what came before."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trainers.shaping.base import ShaperState
from trainers.shaping.linear import SparseRidge

if TYPE_CHECKING:
    from trainers.shaping.decoder import Decoder

Floats = NDArray[np.float64]
Rows = Sequence[Mapping[str, float]]
"""Features of the steps of an episode by name, one row per step."""


class Estimator(Protocol):
    """Tells what each step of an episode contributes, from its own features and those of the steps before."""

    @property
    def fitted(self) -> bool:
        """Whether it has been fitted yet."""

    def kept(self, rows: Rows, /) -> Any:
        """Return what the buffer keeps of an episode, as JSON can hold it."""

    def fit(self, seen: Sequence[Any], totals: Floats, /) -> None:
        """Fit to kept episodes and their rewards, shape (episodes,)."""

    def total(self, kept: Any, /) -> float:
        """Return the sum of the contributions of a kept episode."""

    def contributions(self, rows: Rows, /) -> Floats:
        """Return ĉ_t, shape (steps,)."""

    def state(self) -> ShaperState:
        """Return what it has learnt."""

    def load_state(self, state: ShaperState, /) -> None:
        """Go on from a checkpoint."""


class LinearEstimator:
    """ĉ_t = w·x_t, so that an episode is its counts: Σ_t ĉ_t = w·Σ_t x_t.

    Args:
        penalty: Weight of ‖w‖² against the squared errors.
    """

    def __init__(self, penalty: float) -> None:
        self._ridge = SparseRidge(penalty)

    @property
    def fitted(self) -> bool:
        """Whether it has been fitted yet."""
        return self._ridge.fitted

    def kept(self, rows: Rows, /) -> dict[str, float]:
        """Return the counts of an episode."""
        total: Counter[str] = Counter()
        for row in rows:
            total.update(row)
        return dict(total)

    def fit(self, seen: Sequence[Any], totals: Floats, /) -> None:
        """Solve for w."""
        self._ridge.fit(seen, totals)

    def total(self, kept: Any, /) -> float:
        """Return w·x of the counts."""
        return self._ridge.predict(kept)

    def contributions(self, rows: Rows, /) -> Floats:
        """Return ĉ_t, shape (steps,)."""
        return np.array([self._ridge.predict(row) for row in rows], dtype=np.float64)

    def state(self) -> ShaperState:
        """Return names and weights."""
        return self._ridge.state()

    def load_state(self, state: ShaperState, /) -> None:
        """Take names and weights over."""
        self._ridge.load_state(state)


class NetworkEstimator:
    """An MLP of a step's features and of the mean of those of the steps before it, both hashed to a fixed width.

    So that the same step can be worth something after one thing and nothing after another. Two features may share a
    place of the hash; which do depends on their names alone.

    Args:
        width: Places that features are hashed to, and size of the two hidden layers.
        updates: Steps of Adam per fit, from where the last one ended.
        seed: Of the weights and of what is drawn.
    """

    def __init__(self, *, width: int = 64, updates: int = 100, seed: int = 0) -> None:
        self.width, self.updates, self.seed = width, updates, seed
        self._decoder: Decoder | None = None
        self._fits = 0

    @property
    def fitted(self) -> bool:
        """Whether it has been fitted yet."""
        return self._decoder is not None

    def kept(self, rows: Rows, /) -> list[dict[str, float]]:
        """Return the features of each step."""
        return [dict(row) for row in rows]

    def fit(self, seen: Sequence[Any], totals: Floats, /) -> None:
        """Take steps of Adam on (Σ_t ĉ_t − R)², each episode's divided by the square of its length."""
        self._decoder = self._decoder or self._new()
        episodes = [(self._inputs(rows), float(total)) for rows, total in zip(seen, totals, strict=True)]
        # A stream per fit, so that the position is all that a checkpoint has to know.
        rng = np.random.default_rng((self.seed, self._fits))
        batch = min(256, len(episodes))
        self._decoder.fit(episodes, loss="rd", subset=2, updates=self.updates, batch=batch, rng=rng)
        self._fits += 1

    def total(self, kept: Any, /) -> float:
        """Return the sum of the contributions."""
        return float(self.contributions(kept).sum())

    def contributions(self, rows: Rows, /) -> Floats:
        """Return ĉ_t, shape (steps,)."""
        assert self._decoder is not None, "asked only once it is fitted"
        return self._decoder.predict(self._inputs(rows))

    def _inputs(self, rows: Rows) -> Floats:
        """Shape (steps, 2·width)."""
        steps = np.zeros((len(rows), self.width))
        for t, row in enumerate(rows):
            for name, value in row.items():
                place, sign = _hashed(name, self.width)
                steps[t, place] += sign * value
        before = np.cumsum(steps, axis=0) - steps
        before /= np.maximum(np.arange(len(rows)), 1)[:, None]
        return np.concatenate([steps, before], axis=1)

    def _new(self) -> "Decoder":
        from trainers.shaping.decoder import Decoder  # loads torch

        return Decoder(2 * self.width, width=self.width, layers=2, learning_rate=3e-3, seed=self.seed)

    def state(self) -> ShaperState:
        """Return the weights and Adam's averages."""
        return ShaperState(arrays=dict(self._decoder.arrays()) if self._decoder else {}, values={"fits": self._fits})

    def load_state(self, state: ShaperState, /) -> None:
        """Take over what `state` gave."""
        self._fits = state.values["fits"]
        self._decoder = self._new() if self._fits else None
        if self._decoder is not None:
            self._decoder.load_arrays(dict(state.arrays))


@lru_cache(maxsize=1 << 16)
def _hashed(name: str, width: int) -> tuple[int, float]:
    """Place and sign of a feature, the same in every process."""
    number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
    return number // 2 % width, 1.0 if number % 2 else -1.0
