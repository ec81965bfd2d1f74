"""Which tasks are played: an endless order for training, a fixed choice for evaluation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent_gym import SlotEnv
from agent_gym.errors import BadOptionError
from trainers.config import TrainConfig


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
        self.tasks = tasks
        self._seed = seed
        self._pass = -1
        self._order: NDArray[np.intp] = np.zeros(0, dtype=np.intp)

    def take(self, start: int, count: int) -> list[str]:
        """Return the tasks at positions `start` to `start + count - 1`."""
        return [self._at(position) for position in range(start, start + count)]

    def _at(self, position: int) -> str:
        number, place = divmod(position, len(self.tasks))
        if number != self._pass:
            self._pass = number
            self._order = np.random.default_rng((self._seed, number)).permutation(len(self.tasks))
        return self.tasks[int(self._order[place])]


def spread(tasks: Sequence[str], count: int | None) -> list[str]:
    """Return `count` tasks, evenly spaced over the list; all of them if there are fewer or `count` is `None`."""
    if count is None or count >= len(tasks):
        return list(tasks)
    return [tasks[place * len(tasks) // count] for place in range(count)]


def choose_tasks(config: TrainConfig, env: Any) -> tuple[SlotEnv, TaskOrder, list[str]]:
    """Return the slots of an environment, the order of its training tasks, and the tasks to evaluate on.

    Raises:
        BadOptionError: If the environment renders prompts for another context, or the two splits are the same.
        UnknownSplitError: If a split does not exist.
    """
    slots: SlotEnv = getattr(env, "slots", env)
    first = getattr(slots, "envs", [env])[0]
    context = getattr(first, "metadata", {}).get("context")
    if context is not None and context != config.env.context:
        raise BadOptionError(
            f"expected an environment that renders prompts for context {config.env.context!r}, as the configuration "
            f"says, got one for {context!r}: make it with context={config.env.context!r}."
        )
    split = config.env.split or str(getattr(getattr(first, "unwrapped", None), "split", ""))
    if not split:
        raise BadOptionError("env.split must name the split to train on: this environment does not tell one.")
    if split == config.evaluation.split:
        raise BadOptionError(f"evaluation.split must differ from the split that is trained on, got {split!r} for both.")
    validation = (
        spread(slots.tasks(config.evaluation.split), config.evaluation.tasks) if config.evaluation.split else []
    )
    return slots, TaskOrder(slots.tasks(split), config.seed), validation
