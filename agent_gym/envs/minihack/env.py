"""`AgentGym/MiniHack-v0`: KeyRoom, the level of CALM (2409.12798): fetch a key, unlock a door, reach the stairs.

The game is NetHack, run by the packages nle and minihack; text, tasks, commands and state keys are ours.
"""

from __future__ import annotations

import functools
from typing import Any

import gymnasium as gym

from agent_gym import keys
from agent_gym.core import with_known_settings
from agent_gym.envs.diagnostic import SPLITS, LevelEnv, check_count, check_name, digest, limited
from agent_gym.envs.minihack.expert import Explorer
from agent_gym.envs.minihack.game import LEVELS, MOVES, PICK_UP, UNLOCK, Game, check_installed
from agent_gym.envs.minihack.session import SUBGOALS, Session
from agent_gym.errors import BadOptionError
from agent_gym.registration import MINIHACK
from agent_gym.vector import TextVectorEnv

LEVEL = "KeyRoom-S5"
_TRIES = 200
_TRIAL_STEPS = 100


class MiniHackEnv(LevelEnv):
    """A level of MiniHack. Reward 1 for reaching the stairs.

    NetHack's chance (whether a lock gives way, whether a door sticks) is drawn from `np_random`: before each command
    the game's generators are set to a number that it gives.

    Example:
        >>> import gymnasium as gym, agent_gym
        >>> env = gym.make("AgentGym/MiniHack-v0")
        >>> print(env.reset(options={"task": "train/KeyRoom-S5-000"})[0])
        Your task is to reach the stairs.
           ----
           |(.|
           |..|
        --+-..|
        |.....|
        |...@.|
        -------
        You have no key.
    """

    digits = 3

    def __init__(
        self, *, split: str = "train", level: str = LEVEL, layouts: int = 64, render_mode: str | None = None
    ) -> None:
        """Set up the tasks; see `make_minihack` for the settings."""
        check_name("level", level, list(LEVELS))
        super().__init__(level=level, layouts=layouts, split=split, render_mode=render_mode)
        self._game: Game | None = None

    @property
    def instructions(self) -> str:
        """The rules and commands."""
        return (
            "You are in a dungeon, in a game of NetHack. On the map @ is you, . floor, | and - walls, ( a key, + a "
            "closed door, / an open one, > the stairs down and < those up. A locked door is unlocked with the key from "
            "a place beside it, not across a corner, and opens when you go into it, which may take several tries. "
            "Nobody goes through a door across a corner. Reach the stairs down in as few steps as you can.\n"
            f"Commands: {', '.join([*MOVES, PICK_UP, UNLOCK])}."
        )

    def make_expert(self) -> Explorer:
        """Return a player who reads the map; it is not always the shortest way, since it has to look round corners."""
        return Explorer()

    def close(self) -> None:
        """End NetHack, and with it the episode, and remove its directory."""
        self._task = None
        if self._game is not None:
            self._game.close()
            self._game = None

    def _require_package(self) -> None:
        check_installed()

    def _seed_of(self, split: str, number: int) -> int:
        return _seed_of(self.level, split, number)  # of both generators that NetHack has

    def _start(self, task: str) -> tuple[str, dict[str, Any]]:
        self._check_task(task)
        if self._game is None:
            self._game = Game(self.level)
        self._playing = task
        self._session = Session(self._game, self.seed_of(task))
        return f"Your task is to reach the stairs.\n{self._session.look()}", self._info(valid=True)

    def _act(self, command: str) -> tuple[str, float, bool, dict[str, Any]]:
        session = self._session
        if command not in session.admissible:
            return f"That is not possible.\n{session.look()}", 0.0, False, self._info(valid=False)
        session.play(command, int(self.np_random.integers(1 << 62)))
        won = session.view.on_stairs
        said = session.view.message or f"You {command}."
        return f"{said}\n{session.look()}", float(won), won, self._info(valid=True)

    def _info(self, *, valid: bool) -> dict[str, Any]:
        session = self._session
        won = session.view.on_stairs
        parts = len(SUBGOALS) + 1 if "Key" in self.level else 1
        return self._frame_info(
            self._playing,
            session.key,
            session.admissible,
            success=won,
            score=1.0 if won else len(session.reached) / parts,
            valid=valid,
        ) | {keys.SUBGOALS: session.reached}

    def _get_state(self) -> tuple[tuple[str, int], ...]:
        return self._session.played

    def _set_state(self, state: tuple[tuple[str, int], ...]) -> None:
        self._session.begin()
        for command, chance in state:
            self._session.play(command, chance)


@functools.lru_cache(maxsize=4096)
def _seed_of(level: str, split: str, number: int) -> int:
    """Return NetHack's seed of a task.

    What is seen at the start decides to which split a game belongs, so splits share none. Left out are games that the
    expert does not win, such as those whose key is locked in.

    Raises:
        BadOptionError: If no seed fits.
    """
    game = Game(level)
    for attempt in range(_TRIES):
        seed = digest("MiniHack", level, split, number, attempt) % (1 << 62)
        session = Session(game, seed)
        if SPLITS[digest("MiniHack start", session.view.rows) % len(SPLITS)] == split and _wins(session, seed):
            game.close()
            return seed
    raise BadOptionError(f"expected a game of level {level!r} for the split {split!r}, got none in {_TRIES} seeds.")


def _wins(session: Session, seed: int) -> bool:
    """Whether the expert reaches the stairs within the usual limit, if chance is that of a seed."""
    expert = Explorer()
    expert.observe(None, session.look())
    for step in range(_TRIAL_STEPS):
        command = expert.act()
        if command not in session.admissible:
            return False
        session.play(command, digest(seed, step) % (1 << 62))
        if session.view.on_stairs:
            return True
        expert.observe(command, f"{session.view.message}\n{session.look()}")
    return False


@with_known_settings
def make_minihack(
    *,
    split: str = "train",
    level: str = LEVEL,
    steps: int | None = None,
    layouts: int = 64,
    render_mode: str | None = None,
) -> gym.Env[str, str]:
    """Make the environment with its limit on steps; the entry point of `AgentGym/MiniHack-v0`.

    Args:
        split: Where `reset` draws tasks from: `train`, `valid` or `test`; no start is in two of them.
        level: `KeyRoom-S5`, `KeyRoom-S15` or `KeyRoom-Fixed-S5`, or a room without a key, `Room-Random-5x5` or
            `Room-Random-15x15`.
        steps: Limit on steps. By default minihack's: 200 for `KeyRoom-S5`.
        layouts: Tasks per split, up to 1,000, the first of a fixed list.
        render_mode: `"ansi"` or `None`.

    Raises:
        BadOptionError: If a setting is not known or out of range.
    """
    env = MiniHackEnv(split=split, level=level, layouts=layouts, render_mode=render_mode)
    return limited(env, check_count("steps", LEVELS[level] if steps is None else steps, 1, 100_000))


def minihack_vector_env(num_envs: int, **kwargs: Any) -> TextVectorEnv:
    """Create `num_envs` environments in this process; the vector entry point of `AgentGym/MiniHack-v0`."""
    return TextVectorEnv.of(MINIHACK, num_envs, **kwargs)
