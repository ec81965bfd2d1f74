"""`AgentGym/Sokoban-v0`: push every box onto a goal; a push can't be taken back, so thinking comes first.

Levels are generated, made backwards so that each can be solved in a known number of pushes, or come from files in
Boxoban's format.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import gymnasium as gym

from agent_gym import keys
from agent_gym.core import TextEnv, with_known_settings
from agent_gym.envs.diagnostic import SPLITS, check_count, check_name, check_path, limited
from agent_gym.envs.sokoban.deadlocks import deadlocked
from agent_gym.envs.sokoban.expert import Mover
from agent_gym.envs.sokoban.files import LevelFiles
from agent_gym.envs.sokoban.generator import make_level
from agent_gym.envs.sokoban.level import (
    BOX,
    BOX_ON_GOAL,
    COMMANDS,
    PLAYER,
    PLAYER_ON_GOAL,
    Level,
    squares_of,
    still,
)
from agent_gym.envs.sokoban.solver import Answer, Cost, solve
from agent_gym.errors import UnknownTaskError, did_you_mean
from agent_gym.registration import SOKOBAN
from agent_gym.vector import TextVectorEnv

BOARDS = ("text", "coordinates")
STEPS = 100
_TRUTHS = (False, True)
_NAMED = {
    possible: tuple(command for command, may in zip(COMMANDS, possible, strict=True) if may)
    for possible in [(a, b, c, d) for a in _TRUTHS for b in _TRUTHS for c in _TRUTHS for d in _TRUTHS]
}
"""Commands by whether each is possible, in the order of `COMMANDS`."""
_PLAYER, _PLAYER_ON_GOAL, _BOX, _BOX_ON_GOAL = (ord(sign) for sign in (PLAYER, PLAYER_ON_GOAL, BOX, BOX_ON_GOAL))


class SokobanEnv(TextEnv):
    """Push all boxes onto goals. Reward 1 when all are there, which is also the only reward.

    The state key has the player's square and the set of squares with boxes: boxes are alike. `info["deadlocked"]` tells
    whether a glance at the boxes shows that the level can't be solved any more; False is no promise (see `deadlocks`).
    The observation does not say so, and the episode goes on.

    Example:
        >>> import gymnasium as gym, agent_gym
        >>> env = gym.make("AgentGym/Sokoban-v0", boxes=1, pushes=3)
        >>> print(env.reset(options={"task": "train/5-1-3-000"})[0])
        Your task is to push every box onto a goal.
        #######
        #_____#
        #_#__.#
        #__$__#
        #_____#
        #____@#
        #######
    """

    def __init__(
        self,
        *,
        split: str | None = None,
        size: int = 5,
        boxes: int = 2,
        pushes: int = 6,
        levels: str | os.PathLike[str] | None = None,
        board: str = "text",
        layouts: int = 64,
        render_mode: str | None = None,
    ) -> None:
        """Set up the tasks; see `make_sokoban` for the settings."""
        self._board = check_name("board", board, BOARDS)
        self._files = None if levels is None else LevelFiles(check_path("levels", levels))
        if self._files is not None:
            self.splits = self._files.splits
        else:
            self.splits = SPLITS
            size, boxes = check_count("size", size, 3, 10), check_count("boxes", boxes, 1, 5)
            pushes, layouts = check_count("pushes", pushes, 1, 60), check_count("layouts", layouts, 1, 1000)
            for name in SPLITS:
                make_level(name, size, boxes, pushes, 0)  # refuses settings for which there are no levels
        self._generated = {
            name: tuple(f"{name}/{size}-{boxes}-{pushes}-{number:03d}" for number in range(layouts))
            for name in (self.splits if self._files is None else ())
        }
        self._parts = {
            task: (name, number) for name in self._generated for number, task in enumerate(self._tasks(name))
        }
        self._kind = (size, boxes, pushes)
        first = "train" if "train" in self.splits else self.splits[0]
        super().__init__(split=first if split is None else split, render_mode=render_mode)
        self._source = "generated" if self._files is None else "file"
        self._playing = self._split_playing = ""

    @property
    def instructions(self) -> str:
        """The rules and commands."""
        if self._board == "text":
            shown = (
                "On the board @ is you, # wall, _ floor, $ a box and . a goal; * is a box on a goal, + you on a goal."
            )
        else:
            shown = (
                "Squares are given as (row, column), both counted from 1 at the top left; what is not free is wall. "
                "Down is the next row, right the next column."
            )
        return (
            "You are in a store room. Push every box onto a goal; any box may go onto any goal. You walk up, down, "
            "left and right, and push a box by walking into it, if the square behind it is free: neither wall nor "
            f"another box. You can't pull, so a box in a corner stays there for ever.\n{shown}\n"
            f"Commands: {', '.join(COMMANDS)}."
        )

    def tasks(self, split: str) -> Sequence[str]:
        """Return the task ids of a split."""
        self._check_split(split)
        return self._tasks(split)

    def level(self, task: str) -> Level:
        """Return the level of a task.

        Raises:
            UnknownTaskError: If there is no such task.
            GameFileError: With file and line, if what stands in a file is no level.
        """
        if self._files is not None:
            return self._files.level(task)
        if task not in self._parts:
            known = self._tasks(self.split)[0]
            raise UnknownTaskError(
                f"expected a task id such as {known!r}, got {task!r}; tasks(split) lists those of these settings."
                f"{did_you_mean(str(task), self._parts)}"
            )
        split, number = self._parts[task]
        return make_level(split, *self._kind, number)

    def solution(self, task: str, cost: Cost = "moves", limit: int = 200_000) -> Answer:
        """Return a shortest solution of a task; see `solver.solve`.

        Raises:
            UnknownTaskError: If there is no such task.
        """
        level = self.level(task)
        return solve(level, level.boxes, level.player, cost=cost, limit=limit)

    def make_expert(self) -> Mover:
        """Return a player with the fewest pushes, and of those ways the one with the fewest moves."""
        return Mover()

    def _start(self, task: str) -> tuple[str, dict[str, Any]]:
        level = self.level(task)
        self._playing, self._level = task, level
        self._split_playing = task.partition("/")[0]
        self._steps = dict(zip(COMMANDS, level.deltas, strict=True))
        self._names = {square: level.name(square) for square in squares_of(level.floor)}
        self._blank, self._still = level.blank(), still(level)
        self._player = level.player
        self._put(level.boxes)
        return f"Your task is to push every box onto a goal.\n{self._look()}", self._info(valid=True)

    def _act(self, command: str) -> tuple[str, float, bool, dict[str, Any]]:
        step = self._steps.get(command, 0)
        to, boxes = self._player + step, self._boxes
        if not step or not self._level.floor >> to & 1:
            return f"That is not possible.\n{self._look()}", 0.0, False, self._info(valid=False)
        if not boxes >> to & 1:
            self._player = to
            return f"You go {command}.\n{self._look()}", 0.0, False, self._info(valid=True)
        if not (self._level.floor & ~boxes) >> to + step & 1:
            return f"That is not possible.\n{self._look()}", 0.0, False, self._info(valid=False)
        self._player = to
        self._put(boxes ^ (1 << to | 1 << to + step))
        said = "Every box is on a goal." if self._won else f"You push a box {command}."
        return f"{said}\n{self._look()}", float(self._won), self._won, self._info(valid=True)

    def _put(self, boxes: int) -> None:
        """Take in where the boxes are, and what follows from that alone."""
        level = self._level
        self._boxes, self._won = boxes, boxes == level.goals
        self._score = (boxes & level.goals).bit_count() / level.goals.bit_count()
        self._lost = deadlocked(level, boxes)
        self._listed = " ".join([self._names[square] for square in squares_of(boxes)])
        self._boxes_key = f"{boxes:x}"
        shown = bytearray(self._blank)
        for square in squares_of(boxes):
            shown[square] = _BOX_ON_GOAL if level.goals >> square & 1 else _BOX
        self._shown = bytes(shown)

    def _look(self) -> str:
        if self._board == "coordinates":
            return f"{self._still}\nBoxes: {self._listed}\nYou: {self._names[self._player]}"
        shown = bytearray(self._shown)
        shown[self._player] = _PLAYER_ON_GOAL if self._level.goals >> self._player & 1 else _PLAYER
        return shown.decode()

    def _info(self, *, valid: bool) -> dict[str, Any]:
        won = self._won
        commands: tuple[str, ...] = ()
        if not won:
            down, left, right, up = self._level.deltas
            at, floor, boxes = self._player, self._level.floor, self._boxes
            free = floor & ~boxes
            commands = _NAMED[
                bool(free >> at + down & 1 or (boxes >> at + down & 1 and free >> at + 2 * down & 1)),
                bool(free >> at + left & 1 or (boxes >> at + left & 1 and free >> at + 2 * left & 1)),
                bool(free >> at + right & 1 or (boxes >> at + right & 1 and free >> at + 2 * right & 1)),
                bool(free >> at + up & 1 or (boxes >> at + up & 1 and free >> at + 2 * up & 1)),
            ]
        return {
            keys.STATE_KEY: f"{self._playing}:{self._player}:{self._boxes_key}",
            keys.ADMISSIBLE_ACTIONS: commands,
            keys.ALIASES[keys.ADMISSIBLE_ACTIONS]: commands,
            keys.ACTION_VALID: valid,
            keys.SUCCESS: won,
            keys.ALIASES[keys.SUCCESS]: won,
            keys.SCORE: self._score,
            keys.DEADLOCKED: self._lost,
            keys.SPLIT: self._split_playing,
            keys.SOURCE: self._source,
        }

    def _tasks(self, split: str) -> Sequence[str]:
        return self._generated[split] if self._files is None else self._files.tasks(split)

    def _get_state(self) -> tuple[int, int]:
        return self._boxes, self._player

    def _set_state(self, state: tuple[int, int]) -> None:
        boxes, self._player = state
        self._put(boxes)


@with_known_settings
def make_sokoban(
    *,
    split: str | None = None,
    size: int = 5,
    boxes: int = 2,
    pushes: int = 6,
    levels: str | os.PathLike[str] | None = None,
    board: str = "text",
    steps: int = STEPS,
    layouts: int = 64,
    render_mode: str | None = None,
) -> gym.Env[str, str]:
    """Make the environment with its limit on steps; the entry point of `AgentGym/Sokoban-v0`.

    Args:
        split: Where `reset` draws tasks from: `train` (default), `valid` or `test`; no room is in two of them. With
            `levels`, the splits that its folders make, or `all`.
        size: Rows and columns of generated rooms, without the outer walls, 3 to 10.
        boxes: Boxes of generated levels, 1 to 5.
        pushes: Difficulty of generated levels: pushes of the solution that has the fewest.
        levels: A file, or a directory of files, with levels in Boxoban's format, instead of generated ones.
        board: `"text"`, a board in the usual signs, or `"coordinates"`, lists of squares.
        steps: Limit on steps.
        layouts: Generated tasks per split, the first of a fixed list; 1 is a single problem to learn.
        render_mode: `"ansi"` or `None`.

    Raises:
        BadOptionError: If a setting is not known or out of range.
        DataNotFoundError: If there are no level files at `levels`.
    """
    env = SokobanEnv(
        split=split,
        size=size,
        boxes=boxes,
        pushes=pushes,
        levels=levels,
        board=board,
        layouts=layouts,
        render_mode=render_mode,
    )
    return limited(env, check_count("steps", steps, 1, 100_000))


def sokoban_vector_env(num_envs: int, **kwargs: Any) -> TextVectorEnv:
    """Create `num_envs` environments in this process; the vector entry point of `AgentGym/Sokoban-v0`."""
    return TextVectorEnv.of(SOKOBAN, num_envs, **kwargs)
