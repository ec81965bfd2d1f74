"""`AgentGym/KeyDoor-v0`: fetch the key, unlock the door, leave by the stairs; two subgoals on the way to one reward.

Two rooms side by side, drawn as text after the manner of NetHack, and a message about what the last command did. For a
judge that reads messages, human or model, the subgoals are plain; `info["subgoals"]` has the truth to compare it with.
The key can be dropped and picked up again, so that a bonus per pick-up instead of per subgoal can be farmed.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Mapping
from typing import Any

from agent_gym import keys
from agent_gym.envs.diagnostic import SPLITS, DiagnosticEnv, check_count, digest
from agent_gym.registration import KEY_DOOR
from agent_gym.vector import TextVectorEnv

Cell = tuple[int, int]
"""Row and column of the map, walls included, counted from 0."""

MOVES: Mapping[str, Cell] = {"go east": (0, 1), "go north": (-1, 0), "go south": (1, 0), "go west": (0, -1)}
PICK_UP, DROP, OPEN = "pick up key", "drop key", "open door"
SUBGOALS = (PICK_UP, OPEN)
LARGEST = 6


class KeyDoorEnv(DiagnosticEnv):
    """A room with a key, a locked door, and a room with stairs behind it. Reward 1 for reaching the stairs.

    `score` says how far the state is: a third with the key in hand, two with the door open. `info["subgoals"]` says
    what was reached once, so it alone depends on more than `state_key`.

    A task's id spells out the layout: size of a room, then row and column of start, key and stairs, counted from 1 in
    their own room, with the door's row before the last.

    Example:
        >>> import gymnasium as gym, agent_gym
        >>> env = gym.make("AgentGym/KeyDoor-v0")
        >>> print(env.reset(options={"task": env.unwrapped.tasks("train")[0]})[0])
        Your task is to reach the stairs.
        #########
        #@..#...#
        #k..#>..#
        #...+...#
        #########
        Your hands are empty.
    """

    def __init__(
        self, *, split: str = "train", size: int = 3, layouts: int = 64, render_mode: str | None = None
    ) -> None:
        """Set up the tasks.

        Args:
            split: Where `reset` draws tasks from: `train`, `valid` or `test`; no layout is in two of them.
            size: Rows and columns of each room, 3 to 6.
            layouts: Tasks per split, up to 500.
            render_mode: `"ansi"` or `None`.

        Raises:
            BadOptionError: If a setting is out of range.
        """
        self.size = check_count("size", size, 3, LARGEST)
        super().__init__(
            tasks=_tasks(size, check_count("layouts", layouts, 1, 500)), split=split, render_mode=render_mode
        )
        self._playing = ""
        self._at = self._door = self._stairs = (0, 0)
        self._key: Cell | None = None
        self._open = False
        self._reached: tuple[str, ...] = ()

    @property
    def instructions(self) -> str:
        """The rules and commands."""
        return (
            "You are in a dungeon. On the map @ is you, k a key, + a locked door, / an open one, > the stairs and # "
            "wall. A key opens the door from the place west of it. Reach the stairs in as few steps as you can.\n"
            f"Commands: {', '.join(sorted([*MOVES, PICK_UP, DROP, OPEN]))}."
        )

    def optimal_steps(self, task: str) -> int:
        """To the key, pick it up, to the door, open it, to the stairs; rooms are empty, so ways are straight."""
        self._check_task(task)
        start, key, door, stairs = _layout(task)
        before = (door[0], door[1] - 1)
        return _distance(start, key) + 1 + _distance(key, before) + 1 + _distance(before, stairs)

    def make_expert(self) -> Explorer:
        """Return a player who reads the map, and goes the shortest way."""
        return Explorer()

    def _start(self, task: str) -> tuple[str, dict[str, Any]]:
        self._check_task(task)
        self._playing = task
        self._at, self._key, self._door, self._stairs = _layout(task)
        self._open, self._reached = False, ()
        return self._look("Your task is to reach the stairs."), self._info()

    def _act(self, command: str) -> tuple[str, float, bool, dict[str, Any]]:
        valid = command in self._admissible()
        if not valid:
            said = "That is not possible."
        elif command == PICK_UP:
            self._key, said = None, "You pick up the key."
        elif command == DROP:
            self._key, said = self._at, "You drop the key."
        elif command == OPEN:
            self._open, said = True, "You unlock the door with the key. It swings open."
        else:
            self._at, said = _moved(self._at, command), f"You {command}."
        if valid and command in SUBGOALS and command not in self._reached:
            self._reached = (*self._reached, command)
        won = self._at == self._stairs
        info = self._info() | {keys.ACTION_VALID: valid}
        return ("You climb the stairs." if won else self._look(said)), float(won), won, info

    def _admissible(self) -> tuple[str, ...]:
        possible = [command for command in MOVES if self._free(_moved(self._at, command))]
        if self._key == self._at:
            possible.append(PICK_UP)
        if self._key is None:
            possible.append(DROP)
            if not self._open and self._at == (self._door[0], self._door[1] - 1):
                possible.append(OPEN)
        return tuple(sorted(possible))

    def _free(self, cell: Cell) -> bool:
        row, column = cell
        if cell == self._door:
            return self._open
        return 1 <= row <= self.size and 1 <= column <= 2 * self.size + 1 and column != self.size + 1

    def _look(self, said: str) -> str:
        rows = [["#"] * (2 * self.size + 3) for _ in range(self.size + 2)]
        for row in range(1, self.size + 1):
            for column in range(1, 2 * self.size + 2):
                rows[row][column] = "." if column != self.size + 1 else "#"
        things = [(self._door, "/" if self._open else "+"), (self._stairs, ">"), (self._key, "k"), (self._at, "@")]
        for cell, sign in things:
            if cell is not None:
                rows[cell[0]][cell[1]] = sign
        lines = [said, *("".join(row) for row in rows)]
        if self._key == self._at:
            lines.append("You see here a key.")
        lines.append("You carry the key." if self._key is None else "Your hands are empty.")
        return "\n".join(lines)

    def _info(self) -> dict[str, Any]:
        won = self._at == self._stairs
        held = "held" if self._key is None else f"{self._key[0]},{self._key[1]}"
        return self._frame_info(
            self._playing,
            f"{self._at[0]},{self._at[1]}:{held}:{'open' if self._open else 'locked'}",
            () if won else self._admissible(),
            success=won,
            score=1.0 if won else ((self._key is None or self._open) + self._open) / 3,
        ) | {keys.SUBGOALS: self._reached}

    def _get_state(self) -> tuple[Cell, Cell | None, bool, tuple[str, ...]]:
        return self._at, self._key, self._open, self._reached

    def _set_state(self, state: tuple[Cell, Cell | None, bool, tuple[str, ...]]) -> None:
        self._at, self._key, self._open, self._reached = state


class Explorer:
    """Reads the map and goes the shortest way to what is next: the key, the door, the stairs."""

    def __init__(self) -> None:
        """Wait for the map."""
        self._seen: list[str] = []

    def observe(self, command: str | None, observation: str) -> None:
        """Remember the last map; the one at the end has none."""
        lines = observation.splitlines()
        self._seen = lines if len(lines) > 1 else self._seen

    def act(self) -> str:
        """Return the next command."""
        found = {
            sign: (row, column)
            for row, line in enumerate(self._map)
            for column, sign in enumerate(line)
            if sign in "@k+/>"
        }
        carried = self._seen[-1] == "You carry the key."
        if "+" not in found:
            return self._towards(found["@"], found[">"])
        if not carried:
            return PICK_UP if "k" not in found else self._towards(found["@"], found["k"])
        before = (found["+"][0], found["+"][1] - 1)
        return OPEN if found["@"] == before else self._towards(found["@"], before)

    @property
    def _map(self) -> list[str]:
        return [line for line in self._seen if line.startswith("#")]

    def _towards(self, start: Cell, goal: Cell) -> str:
        """Return the first command of a shortest way, found by searching backwards from the goal."""
        waiting, seen = deque([goal]), {goal}
        while waiting:
            cell = waiting.popleft()
            for command, (down, right) in MOVES.items():
                before = (cell[0] - down, cell[1] - right)
                if before == start:
                    return command
                if before not in seen and self._map[before[0]][before[1]] not in "#+":
                    seen.add(before)
                    waiting.append(before)
        raise AssertionError("every place of a room can be reached from every other")


def _moved(cell: Cell, command: str) -> Cell:
    down, right = MOVES[command]
    return cell[0] + down, cell[1] + right


def _distance(one: Cell, other: Cell) -> int:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def _layout(task: str) -> tuple[Cell, Cell, Cell, Cell]:
    """Return start, key, door and stairs of a task."""
    size, start, key, door, stairs = task.partition("/")[2].split("-")
    return (
        (int(start[0]), int(start[1])),
        (int(key[0]), int(key[1])),
        (int(door), int(size) + 1),
        (int(stairs[0]), int(stairs[1]) + int(size) + 1),
    )


@functools.cache
def _tasks(size: int, layouts: int) -> dict[str, list[str]]:
    """Draw layouts, all different, and deal them to the splits in turn; more layouts begin with the fewer."""
    cells = [f"{row}{column}" for row in range(1, size + 1) for column in range(1, size + 1)]
    drawn: dict[str, None] = {}  # in the order of drawing
    number = 0
    while len(drawn) < layouts * len(SPLITS):
        start, key, stairs = (cells[digest("key door", size, number, thing) % len(cells)] for thing in range(3))
        number += 1
        if start != key:
            drawn[f"{size}-{start}-{key}-{1 + digest('key door', size, number) % size}-{stairs}"] = None
    dealt = list(drawn)
    return {
        split: [f"{split}/{layout}" for layout in dealt[place :: len(SPLITS)]] for place, split in enumerate(SPLITS)
    }


def key_door_vector_env(num_envs: int, **kwargs: Any) -> TextVectorEnv:
    """Create `num_envs` environments in this process; the vector entry point of `AgentGym/KeyDoor-v0`."""
    return TextVectorEnv.of(KEY_DOOR, num_envs, **kwargs)
