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
        run: Tasks next to each other that stay so, such as the parts in one game: runs are shuffled, and not their
            tasks.
    """

    def __init__(self, tasks: Sequence[str], seed: int, run: int = 1) -> None:
        if not len(tasks):
            raise BadOptionError("expected a split with tasks to train on, got one without.")
        self.tasks = tasks
        self._seed = seed
        self._run = run
        self._pass = -1
        self._order: NDArray[np.intp] = np.zeros(0, dtype=np.intp)

    def take(self, start: int, count: int) -> list[str]:
        """Return the tasks at positions `start` to `start + count - 1`."""
        return [self._at(position) for position in range(start, start + count)]

    def _at(self, position: int) -> str:
        number, place = divmod(position, len(self.tasks))
        if number != self._pass:
            self._pass = number
            self._order = np.random.default_rng((self._seed, number)).permutation(len(self.tasks) // self._run)
        return self.tasks[int(self._order[place // self._run]) * self._run + place % self._run]


def spread(tasks: Sequence[str], count: int | None, run: int = 1) -> list[str]:
    """Return `count` tasks, evenly spaced over the list; all of them if there are fewer or `count` is `None`.

    Of tasks that belong together in runs there are whole runs, as many as fit into `count` but one at least.
    """
    if count is None or count >= len(tasks):
        return list(tasks)
    runs, wanted = len(tasks) // run, max(1, count // run)
    return [tasks[place * runs // wanted * run + part] for place in range(wanted) for part in range(run)]


def _only(names: Sequence[str], tasks: Sequence[str], agents: Sequence[str], split: str) -> list[str]:
    """Return the tasks that are named, for all agents of a game.

    Raises:
        BadOptionError: If one of them is none of the split's.
    """
    wanted = [f"{name}@{agent}" for name in names for agent in agents] if agents else list(names)
    for task in wanted:
        if task not in tasks:
            example = next(iter(tasks), "none: it has no tasks").partition("@")[0]
            raise BadOptionError(
                f"rollout.only must name tasks of the split {split!r}, such as {example!r}, got "
                f"{task.partition('@')[0]!r}."
            )
    return wanted


def slots_of(env: Any) -> SlotEnv:
    """Return the slots of an environment, which may be slots itself."""
    slots: SlotEnv = getattr(env, "slots", env)
    return slots


def agents_of(slots: SlotEnv) -> int:
    """Return how many agents play together, whose tasks are next to each other; 1 where each plays alone."""
    return len(getattr(slots, "agents", ("alone",)))


def _require_games(config: TrainConfig, agents: int) -> None:
    """Refuse settings with which the agents of a game would not come together.

    Raises:
        BadOptionError: If there are any.
    """
    settings = config.rollout
    seats = agents * (settings.group_size + getattr(config.credit, "needs_baseline", False))
    if settings.groups % agents:
        raise BadOptionError(
            f"rollout.groups must be a multiple of {agents}, a group for each agent of a game, got {settings.groups}."
        )
    if config.env.num_envs < seats:
        raise BadOptionError(
            f"env.num_envs must be {seats} or more, a slot for each episode of {agents} agents' groups on one task, "
            f"got {config.env.num_envs}."
        )
    found = {
        "replay": config.replay is not None,
        "judge.kind policy": config.judge.kind == "policy",
        "sampler.engine vllm": config.sampler.engine == "vllm",
    }
    for name in (name for name, there in found.items() if there and config.players.learn == "per-role"):
        raise BadOptionError(f"{name} must be left out where each role has a policy of its own.")
    for name in ("task_filter", "dynamic_sampling"):
        if getattr(config, name) is not None:
            raise BadOptionError(
                f"{name} must be left out of a game of {agents} agents: it would take one agent's group and leave the "
                "others'."
            )


def choose_tasks(config: TrainConfig, env: Any) -> tuple[SlotEnv, TaskOrder, list[str]]:
    """Return the slots of an environment, the order of its training tasks, and the tasks to evaluate on.

    Raises:
        BadOptionError: If the environment renders prompts for another context, the two splits are the same, or the
            agents of a game would not come together.
        UnknownSplitError: If a split does not exist.
    """
    slots = slots_of(env)
    agents = agents_of(slots)
    if agents > 1:
        _require_games(config, agents)
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
    tasks = slots.tasks(split)
    if config.rollout.only:
        tasks = _only(config.rollout.only, tasks, getattr(slots, "agents", ()), split)
    elif config.rollout.tasks is not None:
        tasks = spread(tasks, config.rollout.tasks, agents)
    validation: list[str] = []
    if config.evaluation.split:
        validation = spread(slots.tasks(config.evaluation.split), config.evaluation.tasks, agents)
    return slots, TaskOrder(tasks, config.seed, agents), validation
