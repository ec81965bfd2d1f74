"""Linear regression on named features, of which there may be very many and each row has few.

    w = argmin Σ_i (R_i − w·x_i)² + λ‖w‖²

by conjugate gradients on the normal equations (Hestenes and Stiefel 1952): a pass costs as much as there are entries,
no matrix is ever formed, and without a penalty the solution of least length comes out.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trainers.shaping.base import ShaperState

Floats = NDArray[np.float64]
Features = Mapping[str, float]
"""Features of one row by name; what is not named is 0."""
Product = Callable[[Floats], Floats]


class SparseRidge:
    """Weights of named features.

    Args:
        penalty: λ, 0 or more.
    """

    def __init__(self, penalty: float) -> None:
        if not (np.isfinite(penalty) and penalty >= 0):
            raise ValueError(f"expected a penalty of 0 or more on the weights, got {penalty}")
        self.penalty = penalty
        self._number: dict[str, int] = {}
        self._weights: Floats = np.zeros(0)

    @property
    def fitted(self) -> bool:
        """Whether there was anything to fit to yet."""
        return bool(self._number)

    def fit(self, rows: Sequence[Features], targets: Floats) -> float:
        """Fit to rows and their targets, shape (rows,), and return the mean squared error that is left."""
        self._number = {}
        for row in rows:
            for name in row:
                self._number.setdefault(name, len(self._number))
        column = np.array([self._number[name] for row in rows for name in row], dtype=np.intp)
        entry = np.array([value for row in rows for value in row.values()], dtype=np.float64)
        line = np.repeat(np.arange(len(rows)), [len(row) for row in rows])

        def times(weights: Floats) -> Floats:  # X·w
            return _sums(line, entry * weights[column], len(rows))

        def transposed(values: Floats) -> Floats:  # Xᵀ·v
            return _sums(column, entry * values[line], len(self._number))

        self._weights = conjugate_gradients(times, transposed, targets, self.penalty, len(self._number))
        return float(np.mean((targets - times(self._weights)) ** 2)) if len(rows) else 0.0

    def weight(self, name: str) -> float:
        """Weight of a feature; 0 for one that was never seen."""
        number = self._number.get(name)
        return 0.0 if number is None else float(self._weights[number])

    def predict(self, row: Features) -> float:
        """w·x of a row."""
        return sum(value * self.weight(name) for name, value in row.items())

    def state(self) -> ShaperState:
        """Return names and weights."""
        return ShaperState(arrays={"weights": self._weights.copy()}, values={"names": list(self._number)})

    def load_state(self, state: ShaperState) -> None:
        """Take names and weights over."""
        self._number = {name: number for number, name in enumerate(state.values["names"])}
        self._weights = np.array(state.arrays["weights"], dtype=np.float64)


def _sums(places: NDArray[np.intp], values: Floats, size: int) -> Floats:
    return np.asarray(np.bincount(places, weights=values, minlength=size), dtype=np.float64)


def conjugate_gradients(times: Product, transposed: Product, targets: Floats, penalty: float, size: int) -> Floats:
    """Solve (XᵀX + λ)·w = Xᵀ·R, with X given by what it does to a vector. Returns shape (size,)."""
    weights = np.zeros(size)
    residual = transposed(targets)
    direction = residual.copy()
    error = float(residual @ residual)
    enough = 1e-24 * max(error, 1e-300)
    for _ in range(min(2 * size, 1000)):  # exact after `size` passes but for rounding; far fewer where λ is not tiny
        if error <= enough:
            break
        image = transposed(times(direction)) + penalty * direction
        curvature = float(direction @ image)
        if curvature <= 0.0:  # nothing but rounding is left
            break
        step = error / curvature
        weights += step * direction
        residual -= step * image
        error, before = float(residual @ residual), error
        direction = residual + error / before * direction
    return weights
