"""What a critic learns from a batch, as credit assignment leaves it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Lesson:
    """Values and targets of action tokens that lie end to end: of a batch, a group or a sample. All of shape (N,)."""

    values_n: Floats
    """What the critic said before the update."""
    targets_n: Floats
    """What it should have said."""
    taught_n: NDArray[np.bool_]
    """Tokens at which it is taught; at the others the target means nothing."""

    def cut(self, sizes: Sequence[int]) -> "list[Lesson]":
        """Cut into runs of these sizes, which add up to N."""
        ends = np.cumsum(sizes)
        assert not len(sizes) or ends[-1] == len(self.values_n), (ends, len(self.values_n))
        arrays = (np.split(array, ends)[:-1] for array in (self.values_n, self.targets_n, self.taught_n))
        return [Lesson(values_n=v, targets_n=t, taught_n=taught) for v, t, taught in zip(*arrays, strict=True)]


def joined(lessons: Sequence[Lesson]) -> Lesson:
    """Lay lessons end to end."""
    return Lesson(
        values_n=np.concatenate([np.zeros(0), *(one.values_n for one in lessons)]),
        targets_n=np.concatenate([np.zeros(0), *(one.targets_n for one in lessons)]),
        taught_n=np.concatenate([np.zeros(0, dtype=np.bool_), *(one.taught_n for one in lessons)]),
    )


def explained_variance(lesson: Lesson) -> float | None:
    """1 − Var(target − value) / Var(target) where the critic is taught: 1 is perfect, 0 is a constant's.

    None where targets do not vary, since then there is nothing to explain.
    """
    targets_n, values_n = lesson.targets_n[lesson.taught_n], lesson.values_n[lesson.taught_n]
    if len(targets_n) < 2 or np.ptp(targets_n) <= 1e-9 * max(1.0, float(np.abs(targets_n).max())):
        return None
    return 1.0 - float(np.var(targets_n - values_n) / np.var(targets_n))
