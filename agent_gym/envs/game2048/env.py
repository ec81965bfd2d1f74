"""`AgentGym/Game2048-v0`: slide tiles, join equal ones, reach the target before the board is full.

Tiles appear by chance, so that a plan that needs a certain one is no plan.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from agent_gym import keys
from agent_gym.core import with_known_settings
from agent_gym.envs.diagnostic import SPLITS, SmallEnv, check_count, limited
from agent_gym.envs.game2048.board import COMMANDS, Board, first_board, moved, slide, with_tile
from agent_gym.envs.game2048.planner import Planner
from agent_gym.errors import BadOptionError
from agent_gym.registration import GAME_2048
from agent_gym.vector import TextVectorEnv

_SAID = {(command, tile): f"You slide {command}. A {1 << tile} appears." for command in COMMANDS for tile in (1, 2)}
_TRUTHS = (False, True)
_NAMED = {
    possible: tuple(command for command, may in zip(COMMANDS, possible, strict=True) if may)
    for possible in [(a, b, c, d) for a in _TRUTHS for b in _TRUTHS for c in _TRUTHS for d in _TRUTHS]
}
"""Commands by whether each is possible, in the order of `COMMANDS`."""


class Game2048Env(SmallEnv):
    """Make a tile of `target`. Reward 1 for that, which is also the only reward; the score is log₂ of the largest tile.

    A task is a board with two tiles. What appears later is drawn from `np_random`, two draws for each move: where, and
    which tile. Equal state keys (the board, nothing else) imply equal distributions of futures, and equal futures if
    the generator is in the same state too. Episodes with the same task and seed are the same as long as they play the
    same commands.

    Attributes:
        steps: Limit on steps.

    Example:
        >>> import gymnasium as gym, agent_gym
        >>> env = gym.make("AgentGym/Game2048-v0")
        >>> print(env.reset(seed=0, options={"task": "train/4-000"})[0])
        Your task is to make a tile of 128.
          2   .   .   .
          .   .   .   .
          .   .   .   2
          .   .   .   .
    """

    def __init__(
        self,
        *,
        split: str = "train",
        size: int = 4,
        target: int = 128,
        steps: int | None = None,
        layouts: int = 16,
        render_mode: str | None = None,
    ) -> None:
        """Set up the tasks; see `make_game_2048` for the settings."""
        size = check_count("size", size, 2, 6)
        most = 2 ** min(size * size, 16)
        if isinstance(target, bool) or not isinstance(target, int) or target not in _powers(8, most):
            raise BadOptionError(
                f"target must be a power of two from 8 to {most} on a board of {size} × {size}, got {target!r}."
            )
        layouts = check_count("layouts", layouts, 1, 1000)
        names = {name: [f"{name}/{size}-{number:03d}" for number in range(layouts)] for name in SPLITS}
        super().__init__(tasks=names, split=split, render_mode=render_mode)
        self.size, self.target = size, target
        self.steps = max(target, 16) if steps is None else check_count("steps", steps, 1, 10_000_000)
        self._goal = target.bit_length() - 1
        self._width = len(str(target))
        self._board: Board = ()
        self._playing = ""

    @property
    def instructions(self) -> str:
        """The rules and commands."""
        return (
            f"You play 2048 on a board of {self.size} × {self.size} places; . is an empty one. A command slides all "
            "tiles as far as they go. Two equal tiles that meet become one of twice the value, once per command. After "
            "every command that moves something a new tile appears at an empty place, a 2 nine times out of ten, else "
            "a 4. "
            f"Make a tile of {self.target}. The game is lost when nothing can move.\n"
            f"Commands: {', '.join(COMMANDS)}."
        )

    def make_expert(self) -> Planner:
        """Return a player who looks two moves ahead, over the tiles that may appear between them."""
        return Planner(self.size)

    def _start(self, task: str) -> tuple[str, dict[str, Any]]:
        self._check_task(task)
        self._playing, self._board = task, first_board(task)
        text, info = self._look()
        return f"Your task is to make a tile of {self.target}.\n{text}", info

    def _act(self, command: str) -> tuple[str, float, bool, dict[str, Any]]:
        after = moved(self._board, command, self._width) if command in COMMANDS else self._board
        if after == self._board:
            text, info = self._look(valid=False)
            return f"That moves nothing.\n{text}", 0.0, False, info
        random = self.np_random.random
        board, tile = with_tile(after, random(), random())
        self._board = board
        text, info = self._look()
        won = info[keys.SUCCESS]
        if won:
            return f"You have made a tile of {self.target}.\n{text}", 1.0, True, info
        if not info[keys.ADMISSIBLE_ACTIONS]:
            return f"Nothing can move any more: the game is lost.\n{text}", 0.0, True, info
        return f"{_SAID[command, tile]}\n{text}", 0.0, False, info

    def _look(self, *, valid: bool = True) -> tuple[str, dict[str, Any]]:
        """Return the board as text, and `info`."""
        width = self._width
        rows = [slide(row, width) for row in self._board]
        columns = [slide(column, width) for column in zip(*self._board, strict=True)]
        largest = max(map(max, self._board))
        won = largest >= self._goal
        commands: tuple[str, ...] = ()
        if not won:
            down = left = right = up = False
            for row, column in zip(rows, columns, strict=True):
                left, right = left or row.goes_left, right or row.goes_right
                up, down = up or column.goes_left, down or column.goes_right
            commands = _NAMED[down, left, right, up]
        score = largest / self._goal
        info = self._frame_info(self._playing, "", commands, success=won, score=score, valid=valid)
        info[keys.STATE_KEY] = "/".join([row.key for row in rows])
        return "\n".join([row.text for row in rows]), info

    def _get_state(self) -> Board:
        return self._board

    def _set_state(self, state: Board) -> None:
        self._board = state


def _powers(least: int, most: int) -> list[int]:
    return [1 << exponent for exponent in range(least.bit_length() - 1, most.bit_length())]


@with_known_settings
def make_game_2048(
    *,
    split: str = "train",
    size: int = 4,
    target: int = 128,
    steps: int | None = None,
    layouts: int = 16,
    render_mode: str | None = None,
) -> gym.Env[str, str]:
    """Make the environment with its limit on steps; the entry point of `AgentGym/Game2048-v0`.

    Args:
        split: Where `reset` draws tasks from: `train`, `valid` or `test`; no first board is in two of them.
        size: Rows and columns, 2 to 6.
        target: Tile to be made, a power of two from 8 up to 65,536 (on boards of 2 and 3 up to 16 and 512).
        steps: Limit on steps, by default `target`: the sum of the tiles grows by 2.2 a step on average.
        layouts: Tasks per split, the first of a fixed list; 1 is a single first board.
        render_mode: `"ansi"` or `None`.

    Raises:
        BadOptionError: If a setting is not known or out of range.
    """
    env = Game2048Env(split=split, size=size, target=target, steps=steps, layouts=layouts, render_mode=render_mode)
    return limited(env, env.steps)


def game_2048_vector_env(num_envs: int, **kwargs: Any) -> TextVectorEnv:
    """Create `num_envs` environments in this process; the vector entry point of `AgentGym/Game2048-v0`."""
    return TextVectorEnv.of(GAME_2048, num_envs, **kwargs)
