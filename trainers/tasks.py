"""Which tasks are played: an endless order for training, a fixed choice for evaluation."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agent_gym.errors import BadOptionError


class TaskOrder:
    """All tasks, shuffled, then all of them shuffled again, and so on; any stretch of it can be had at any time.

    So a run that is resumed goes on where it was, with nothing saved but the position.

    Args:
        tasks: Ids of a split; may be lazy.
        seed: Of the shuffles.
    """

    def __init__(self, tasks: Sequence[str], seed: int) -> None:
        if not len(tasks):
            raise BadOptionError("expected a split with tasks to train on, got one without.")
        self._tasks = tasks
        self._seed = seed
        self._pass = -1
        self._order: NDArray[np.intp] = np.zeros(0, dtype=np.intp)

    def take(self, start: int, count: int) -> list[str]:
        """Return the tasks at positions `start` to `start + count - 1`."""
        return [self._at(position) for position in range(start, start + count)]

    def _at(self, position: int) -> str:
        number, place = divmod(position, len(self._tasks))
        if number != self._pass:
            self._pass = number
            self._order = np.random.default_rng((self._seed, number)).permutation(len(self._tasks))
        return self._tasks[int(self._order[place])]


def spread(tasks: Sequence[str], count: int | None) -> list[str]:
    """Return `count` tasks, evenly spaced over the list; all of them if there are fewer or `count` is `None`."""
    if count is None or count >= len(tasks):
        return list(tasks)
    return [tasks[place * len(tasks) // count] for place in range(count)]
