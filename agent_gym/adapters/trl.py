"""Our environments as what TRL's `GRPOTrainer(environment_factory=…)` takes. TRL itself is not needed here.

Written for TRL 1.16. There a model plays by calling tools: every public method of the environment's class is one, but
for `reset` and `get_reward`. See docs/adapters.md.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym

import agent_gym  # registers the ids
from agent_gym import keys
from agent_gym.core import TextEnv
from agent_gym.envs.diagnostic import check_count
from agent_gym.errors import BadOptionError

_OVER = "The episode is over; there is nothing left to do."


class TrlEnvironment:
    """One environment in which a model acts through the tool `act`.

    The limit on steps of the id holds here too. What an episode pays is the sum of its rewards.

    Example:
        >>> env = TrlEnvironment("AgentGym/FrozenLake-v0", slippery=False)
        >>> print(env.reset(task="train/4-3-000"))
        Your task is to reach the goal G without falling into a hole O.
        @..O
        ....
        O...
        .O.G
        >>> env.act("down").splitlines()[0]
        'You go down.'
        >>> env.get_reward()
        0.0
    """

    def __init__(self, env_id: str, *, admissible: bool = False, **settings: Any) -> None:
        """Make an environment of a registered id.

        Args:
            env_id: A registered id, such as `"AgentGym/ALFWorld-v0"`.
            admissible: Whether each observation ends with the admissible commands.
            settings: Settings of the environment.
        """
        self._env: gym.Env[Any, Any] = gym.make(env_id, disable_env_checker=True, **settings)
        self._admissible = admissible
        self._return = 0.0
        self._over = True

    def reset(self, task: str | None = None, seed: int | None = None, **_row: Any) -> str:
        """Start an episode; TRL calls this with the row of its data set.

        Args:
            task: Id of the task; without one the environment draws it, and then the members of a group differ.
            seed: Seeds the chance that the environment has, and the drawing of the task.
            _row: Further columns, which do not matter here.
        """
        observation, info = self._env.reset(seed=seed, options=None if task is None else {"task": task})
        self._return, self._over = 0.0, False
        return self._shown(observation, info)

    def act(self, command: str) -> str:
        """Carry out one command in the environment and return what happens.

        Args:
            command: The command, worded as the instructions say.

        Returns:
            What is to be seen after it.
        """
        if self._over:
            return _OVER
        observation, reward, terminated, truncated, info = self._env.step(command)
        self._return += float(reward)
        self._over = terminated or truncated
        return f"{observation}\n{_OVER}" if self._over else self._shown(observation, info)

    def get_reward(self) -> float:
        """Return the sum of the episode's rewards."""
        return self._return

    def _shown(self, observation: str, info: dict[str, Any]) -> str:
        if not self._admissible:
            return observation
        return f"{observation}\nAdmissible commands: {', '.join(info[keys.ADMISSIBLE_ACTIONS])}."


def environment_factory(env_id: str, **settings: Any) -> Callable[[], TrlEnvironment]:
    """Return what TRL's argument of this name takes; it pickles.

    Args:
        env_id: A registered id.
        settings: See `TrlEnvironment`.

    Raises:
        BadOptionError: If the environment is not one of text.
    """
    _text_env(env_id, settings)
    return functools.partial(TrlEnvironment, env_id, **settings)


def prompt_rows(
    env_id: str, *, split: str | None = None, count: int | None = None, seed: int = 0, **settings: Any
) -> list[dict[str, Any]]:
    """Return one row per task for a data set of TRL: `datasets.Dataset.from_list(prompt_rows(…))`.

    TRL repeats a row for each member of a group, so that all of them play its task with its seed.

    Args:
        env_id: A registered id.
        split: A split of the environment, by default its own choice.
        count: How many tasks, spread evenly over the split; all by default.
        seed: Seed of the first row; the next ones follow.
        settings: Settings of the environment.

    Raises:
        BadOptionError: If the environment is not one of text.
    """
    env = _text_env(env_id, settings)
    tasks: Sequence[str] = env.tasks(env.split if split is None else split)
    if count is not None:
        count = check_count("count", count, 1, len(tasks))
        tasks = [tasks[place * len(tasks) // count] for place in range(count)]
    rows = []
    for number, task in enumerate(tasks):
        env.reset(options={"task": task})
        rules = f"{env.instructions}\n\nGive each command by calling the tool `act`."
        prompt = [{"role": "system", "content": rules}, {"role": "user", "content": ""}]
        rows.append({"prompt": prompt, "task": task, "seed": seed + number})
    return rows


def _text_env(env_id: str, settings: dict[str, Any]) -> TextEnv:
    assert agent_gym  # imported for its ids
    own = {name: value for name, value in settings.items() if name != "admissible"}
    env = gym.make(env_id, disable_env_checker=True, **own).unwrapped
    if not isinstance(env, TextEnv):
        raise BadOptionError(f"expected an environment of text, got {env_id!r}, a {type(env).__name__}.")
    return env
