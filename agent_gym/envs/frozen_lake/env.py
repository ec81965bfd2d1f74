"""`AgentGym/FrozenLake-v0`: cross the ice without falling into a hole; it is slippery, so that plans must be mended.

The dynamics are those of Gymnasium's FrozenLake-v1 on the same map (a test compares the two, transition by transition).
Here a lake is drawn as text, has a name, and every task of every split can be crossed.
"""

from __future__ import annotations

import functools
from typing import Any

import gymnasium as gym

from agent_gym.core import with_known_settings
from agent_gym.envs.diagnostic import SPLITS, SmallEnv, check_count, limited
from agent_gym.envs.frozen_lake.lake import DIRECTIONS, GOAL, HOLE, ICE, lake_of
from agent_gym.envs.frozen_lake.optimum import Walker, best_play
from agent_gym.errors import BadOptionError
from agent_gym.registration import FROZEN_LAKE
from agent_gym.vector import TextVectorEnv

COMMANDS = tuple(sorted(DIRECTIONS))
STEPS_PER_SIZE = 25
"""Gymnasium's limits: 100 steps for a 4 × 4 lake, 200 for 8 × 8."""
_NUMBER = {name: number for number, name in enumerate(DIRECTIONS)}


class FrozenLakeEnv(SmallEnv):
    """Reach the goal in the lower right corner. Reward 1 for that, which is also the only reward.

    On slippery ice a step goes where it was meant to with probability `success_rate`, and else to one of the two sides,
    each as likely as the other. This chance is drawn from `np_random`, once per step: equal state keys imply equal
    distributions of futures, and equal futures if the generator is in the same state too. Episodes that begin with the
    same seed meet the same draws: where one slips in its n-th step, the others do in theirs.

    Attributes:
        steps: Limit on steps that the expert and `optimal_value` reckon with.

    Example:
        >>> import gymnasium as gym, agent_gym
        >>> env = gym.make("AgentGym/FrozenLake-v0", slippery=False)
        >>> print(env.reset(options={"task": "train/4-3-000"})[0])
        Your task is to reach the goal G without falling into a hole O.
        @..O
        ....
        O...
        .O.G
        >>> print(env.step("down")[0])
        You go down.
        ...O
        @...
        O...
        .O.G
    """

    def __init__(
        self,
        *,
        split: str = "train",
        size: int = 4,
        holes: float = 0.2,
        slippery: bool = True,
        success_rate: float = 1 / 3,
        steps: int | None = None,
        layouts: int = 64,
        render_mode: str | None = None,
    ) -> None:
        """Set up the tasks; see `make_frozen_lake` for the settings."""
        size = check_count("size", size, 3, 40)
        for name, value, least, most in (("holes", holes, 0.0, 0.5), ("success_rate", success_rate, 0.0, 1.0)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
                raise BadOptionError(f"{name} must be a number from {least:g} to {most:g}, got {value!r}.")
        if not isinstance(slippery, bool):
            raise BadOptionError(f"slippery must be True or False, got {slippery!r}.")
        count = max(1, round(holes * size * size))
        layouts = check_count("layouts", layouts, 1, 1000)
        names = {name: [f"{name}/{size}-{count}-{number:03d}" for number in range(layouts)] for name in SPLITS}
        super().__init__(tasks=names, split=split, render_mode=render_mode)
        for tasks in names.values():
            lake_of(tasks[0])  # refuses settings with too few lakes to share them out
        self.steps = STEPS_PER_SIZE * size if steps is None else check_count("steps", steps, 1, 100_000)
        self.success_rate = float(success_rate) if slippery else 1.0
        self._side = (1.0 - self.success_rate) / 2
        self._meant = self._side + self.success_rate
        self._playing = ""
        self._lake = lake_of(names[split][0])
        self._at = 0

    @property
    def instructions(self) -> str:
        """The rules and commands."""
        ice = "firm"
        if self.success_rate < 1.0:
            ice = (
                f"slippery: a step goes where you want with probability {self.success_rate:.2f}, and otherwise to one "
                "of the two sides, at right angles to where you want to go, each as likely as the other"
            )
        return (
            "You are on a frozen lake. On the map @ is you, . is ice, O a hole and G the goal. Reach the goal, and do "
            "not step into a hole, where everything ends. The bank around the lake stops you. The ice is "
            f"{ice}.\nCommands: {', '.join(COMMANDS)}."
        )

    def optimal_value(self, task: str, gamma: float = 1.0) -> float:
        """Return the largest expected return within `steps`, discounted by `gamma` a step.

        With `gamma` 1 it is the largest chance to reach the goal; on firm ice gamma^(shortest way − 1).

        Raises:
            UnknownTaskError: If there is no such task.
        """
        self._check_task(task)
        return float(best_play(lake_of(task).cells, self.success_rate, self.steps, gamma)[0][-1, 0])

    def transitions(self, task: str) -> dict[int, dict[str, list[tuple[float, int]]]]:
        """Return (probability, cell reached) for each cell that is neither hole nor goal, and each command.

        Raises:
            UnknownTaskError: If there is no such task.
        """
        self._check_task(task)
        lake, chances = lake_of(task), (self._side, self.success_rate, self._side)
        return {
            cell: {
                name: [(p, ways[(number + turn) % 4]) for p, turn in zip(chances, (-1, 0, 1), strict=True) if p]
                for name, number in _NUMBER.items()
            }
            for cell, ways in enumerate(lake.after)
            if lake.cells[cell] == ICE
        }

    def make_expert(self) -> Walker:
        """Return a player who reads the map, and plays so that the chance to arrive within `steps` is largest."""
        return Walker(self.success_rate, self.steps)

    def _start(self, task: str) -> tuple[str, dict[str, Any]]:
        self._check_task(task)
        self._playing, self._lake, self._at = task, lake_of(task), 0
        said = f"Your task is to reach the goal {GOAL} without falling into a hole {HOLE}."
        return f"{said}\n{self._lake.drawings[0]}", self._info(valid=True)

    def _act(self, command: str) -> tuple[str, float, bool, dict[str, Any]]:
        meant = _NUMBER.get(command, -1)
        if meant < 0 or command not in self._admissible():
            said = "That is not possible."
            return f"{said}\n{self._lake.drawings[self._at]}", 0.0, False, self._info(valid=False)
        goes = meant
        if self._side > 0.0:
            drawn = self.np_random.random()
            if drawn < self._side:
                goes = (meant - 1) % 4
            elif drawn >= self._meant:
                goes = (meant + 1) % 4
        before, self._at = self._at, self._lake.after[self._at][goes]
        said = _SAID[meant, goes, before != self._at]
        found = self._lake.cells[self._at]
        if found == ICE:
            return f"{said}\n{self._lake.drawings[self._at]}", 0.0, False, self._info(valid=True)
        end = "You reach the goal." if found == GOAL else "You fall into a hole."
        return f"{said} {end}", float(found == GOAL), True, self._info(valid=True)

    def _admissible(self) -> tuple[str, ...]:
        if self._side > 0.0:
            return COMMANDS  # whoever wants to go against the bank may slip along it
        return _firm(self._lake.after[self._at], self._at)

    def _info(self, *, valid: bool) -> dict[str, Any]:
        found = self._lake.cells[self._at]
        commands, won = self._admissible() if found == ICE else (), found == GOAL
        return self._frame_info(self._playing, str(self._at), commands, success=won, score=float(won), valid=valid)

    def _get_state(self) -> int:
        return self._at

    def _set_state(self, state: int) -> None:
        self._at = state


@functools.lru_cache(maxsize=4096)
def _firm(after: tuple[int, int, int, int], at: int) -> tuple[str, ...]:
    """Return the commands that lead away from a cell without slipping."""
    return tuple(sorted(name for name, cell in zip(DIRECTIONS, after, strict=True) if cell != at))


def _told(meant: int, goes: int, moved: bool) -> str:
    meant_name, name = DIRECTIONS[meant], DIRECTIONS[goes]
    said = f"You go {name}." if meant == goes else f"You slip, and go {name} instead of {meant_name}."
    return said if moved else f"{said} The bank stops you."


_SAID = {
    (meant, goes, moved): _told(meant, goes, moved)
    for meant in range(4)
    for goes in range(4)
    for moved in (False, True)
    if (meant + 2) % 4 != goes
}


@with_known_settings
def make_frozen_lake(
    *,
    split: str = "train",
    size: int = 4,
    holes: float = 0.2,
    slippery: bool = True,
    success_rate: float = 1 / 3,
    steps: int | None = None,
    layouts: int = 64,
    render_mode: str | None = None,
) -> gym.Env[str, str]:
    """Make the environment with its limit on steps; the entry point of `AgentGym/FrozenLake-v0`.

    Args:
        split: Where `reset` draws tasks from: `train`, `valid` or `test`; no lake is in two of them.
        size: Rows and columns, 3 to 40.
        holes: Share of the cells that are holes, 0 to 0.5; at least one hole is made.
        slippery: Whether steps may go astray.
        success_rate: On slippery ice, the probability that a step goes where it was meant to.
        steps: Limit on steps, by default 25 times the size, as in Gymnasium.
        layouts: Tasks per split, the first of a fixed list; 1 is a single problem to learn.
        render_mode: `"ansi"` or `None`.

    Raises:
        BadOptionError: If a setting is not known or out of range.
    """
    env = FrozenLakeEnv(
        split=split,
        size=size,
        holes=holes,
        slippery=slippery,
        success_rate=success_rate,
        steps=steps,
        layouts=layouts,
        render_mode=render_mode,
    )
    return limited(env, env.steps)


def frozen_lake_vector_env(num_envs: int, **kwargs: Any) -> TextVectorEnv:
    """Create `num_envs` environments in this process; the vector entry point of `AgentGym/FrozenLake-v0`."""
    return TextVectorEnv.of(FROZEN_LAKE, num_envs, **kwargs)
