"""`AgentGym/BabyAI-v0`: fulfil a mission in a grid of rooms, from what is seen ahead, in words.

The levels, their missions and their dynamics are those of the package minigrid; text, tasks and state keys are ours.
"""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import gymnasium as gym

from agent_gym.core import with_known_settings
from agent_gym.envs.babyai.commands import ACTIONS, possible
from agent_gym.envs.babyai.expert import Bot
from agent_gym.envs.babyai.game import (
    describe,
    done_share,
    levels,
    make_game,
    placed,
    seed_of,
    start,
    state_of,
    things_of,
)
from agent_gym.envs.diagnostic import LevelEnv, check_count, limited
from agent_gym.errors import MissingExtraError
from agent_gym.registration import BABYAI
from agent_gym.vector import TextVectorEnv

LEVEL = "GoToLocal"
_SEEDS_FOR_LIMIT = 8
_MOVE_THINGS = frozenset({"drop", "pick up", "toggle"})


class BabyAIEnv(LevelEnv):
    """A level of BabyAI. Reward 1 when the mission is fulfilled, which also ends the episode.

    minigrid's own reward, which falls with the number of steps, is not used.

    Example:
        >>> import gymnasium as gym, agent_gym
        >>> env = gym.make("AgentGym/BabyAI-v0")
        >>> print(env.reset(options={"task": "train/GoToLocal-0000"})[0])
        Your task is to go to the purple key.
        You see a wall 1 step right.
        You see a grey ball 2 steps forward.
        You see a yellow box 3 steps forward and 2 steps left.
        You see a purple key 5 steps forward.
        You see a wall 6 steps forward.
        You carry nothing.
    """

    digits = 4

    def __init__(
        self, *, split: str = "train", level: str = LEVEL, layouts: int = 64, render_mode: str | None = None
    ) -> None:
        """Set up the tasks; see `make_babyai` for the settings."""
        self._game: Any = None
        with contextlib.suppress(MissingExtraError):  # without minigrid `tasks` and `reset` say so
            self._game = make_game(level)
        super().__init__(level=level, layouts=layouts, split=split, render_mode=render_mode)
        self._seen: list[Any] = []
        self._things: list[Any] = []
        self._places = 0
        self._won = False

    @property
    def lacks_minigrid(self) -> bool:
        """Whether the package is missing; such an environment can be made and asked for its rules, not played."""
        return self._game is None

    @property
    def instructions(self) -> str:
        """The rules and commands."""
        return (
            "You are in a grid of rooms and have a mission. You see up to six steps ahead and three to each side, but "
            "not through walls and closed doors. You pick up, drop and toggle what is one step ahead of you, and carry "
            "one thing at a time. Toggle opens and closes doors, and opens boxes; a locked door needs the key of its "
            "colour in your hands. You have gone to a thing when it is one step ahead of you.\n"
            f"Commands: {', '.join(ACTIONS)}."
        )

    def largest_limit(self) -> int:
        """Return the largest limit on steps that minigrid sets for its seeds 0 to 7; it depends on the mission."""
        limits = []
        for seed in range(_SEEDS_FOR_LIMIT):
            start(self._game, seed)
            limits.append(int(self._game.max_steps))
        return max(limits)

    def make_expert(self) -> Bot:
        """Return minigrid's bot in a game of its own; it sees no further than the agent does."""
        game = make_game(self.level)
        start(game, self.seed_of(self._playing))
        return Bot(game)

    def _require_package(self) -> None:
        levels()

    def _seed_of(self, split: str, number: int) -> int:
        return seed_of(self.level, split, number)

    def _start(self, task: str) -> tuple[str, dict[str, Any]]:
        seed = self.seed_of(task)
        self._playing, self._won = task, False
        self._seen = start(self._game, seed)
        self._things = things_of(self._game)
        self._places = placed(self._game, self._things)
        return f"Your task is to {self._game.mission}.\n{self._look()}", self._info(valid=True)

    def _act(self, command: str) -> tuple[str, float, bool, dict[str, Any]]:
        if not possible(self._game, command):
            return f"That does nothing.\n{self._look()}", 0.0, False, self._info(valid=False)
        observation, _, self._won, _, _ = self._game.step(ACTIONS[command])
        self._seen = observation["image"].tolist()
        if command in _MOVE_THINGS:
            self._places = placed(self._game, self._things)
        said = "Your mission is fulfilled.\n" if self._won else ""
        return said + self._look(), float(self._won), self._won, self._info(valid=True)

    def _look(self) -> str:
        return describe(self._seen, self._game.carrying)

    def _info(self, *, valid: bool) -> dict[str, Any]:
        return self._frame_info(
            self._playing,
            state_of(self._game, self._things, self._places) + (":won" if self._won else ""),
            () if self._won else tuple(command for command in ACTIONS if possible(self._game, command)),
            success=self._won,
            score=1.0 if self._won else done_share(self._game.instrs),
            valid=valid,
        )

    def _get_state(self) -> Any:
        return copy.deepcopy((self._game, self._things, self._places, self._seen, self._won))

    def _set_state(self, state: Any) -> None:
        self._game, self._things, self._places, self._seen, self._won = copy.deepcopy(state)


@with_known_settings
def make_babyai(
    *,
    split: str = "train",
    level: str = LEVEL,
    steps: int | None = None,
    layouts: int = 64,
    render_mode: str | None = None,
) -> gym.Env[str, str]:
    """Make the environment with its limit on steps; the entry point of `AgentGym/BabyAI-v0`.

    Args:
        split: Where `reset` draws tasks from: `train`, `valid` or `test`; no layout is in two of them.
        level: Name of a level as minigrid has it, without `BabyAI-` and version: `GoToLocal`, `PutNextS5N2`,
            `BossLevel` …
        steps: Limit on steps. By default `BabyAIEnv.largest_limit`: 64 for `GoToLocal`.
        layouts: Tasks per split, up to 10,000, the first of a fixed list.
        render_mode: `"ansi"` or `None`.

    Raises:
        BadOptionError: If a setting is not known or out of range.
    """
    env = BabyAIEnv(split=split, level=level, layouts=layouts, render_mode=render_mode)
    if steps is None:
        steps = 1 if env.lacks_minigrid else env.largest_limit()
    return limited(env, check_count("steps", steps, 1, 1_000_000))


def babyai_vector_env(num_envs: int, **kwargs: Any) -> TextVectorEnv:
    """Create `num_envs` environments in this process; the vector entry point of `AgentGym/BabyAI-v0`."""
    return TextVectorEnv.of(BABYAI, num_envs, **kwargs)
