"""Levels made backwards: boxes start on the goals and are pulled away, so that every level can be solved.

The search backwards is breadth-first over all states. What it meets at depth n needs n pushes, no fewer: that is how
difficulty is set, and why no level has to be thrown away because it turned out easier than it looks.
"""

from __future__ import annotations

import functools

from agent_gym.envs.diagnostic import SPLITS, digest, shuffled
from agent_gym.envs.sokoban.level import Level, reached, squares_of
from agent_gym.envs.sokoban.solver import solve
from agent_gym.errors import BadOptionError

WIDEST = 200
"""States that are followed further from one depth. Where more are dropped, A* counts the pushes again."""
_MOST_ROOMS = 300
"""Rooms for the first level of a split, after which the settings are taken to have none."""
_MORE_ROOMS = 30_000
"""Rooms for the others, since one level shows that there are some."""


@functools.lru_cache(maxsize=4096)
def make_level(split: str, size: int, boxes: int, pushes: int, number: int) -> Level:
    """Make the level of a task, from hashes of these parts alone.

    Which split a room (walls and goals) belongs to follows from a hash of it, mirrored and turned ones counting as the
    same: so splits share none, however many levels are made.

    Args:
        split: One of `train`, `valid`, `test`.
        size: Rows and columns without the outer walls.
        boxes: Boxes, and goals.
        pushes: Pushes of the solution that has the fewest.
        number: Of the level.

    Raises:
        BadOptionError: If no such level comes up in many rooms.
    """
    most = _MORE_ROOMS if number else _MOST_ROOMS
    for attempt in range(most):
        seed = ("sokoban", size, boxes, pushes, number, attempt)
        room = _room(size, boxes, seed)
        if room is None or SPLITS[digest("sokoban", _canonical(room)) % len(SPLITS)] != split:
            continue
        start = _pulled(room, pushes, seed)
        if start is not None:
            return start
    raise BadOptionError(
        f"expected settings for which levels are found, got none in {most} rooms of size {size} with {boxes} "
        f"boxes and {pushes} pushes; ask for fewer pushes or boxes, or a larger size."
    )


def _room(size: int, boxes: int, seed: tuple[object, ...]) -> Level | None:
    """Draw walls and goals; the boxes stand on the goals, and the player anywhere. None if it is too narrow."""
    stride = size + 3
    floor = sum(1 << row * stride + column for row in range(1, size + 1) for column in range(1, size + 1))
    order = shuffled(list(squares_of(floor)), *seed, "walls")
    for square in order[: digest(*seed, "how many") % (size * size // 5 + 1)]:
        floor &= ~(1 << square)
    floor = max((reached(square, floor, stride) for square in squares_of(floor)), key=lambda area: (len_of(area), area))
    squares = shuffled(list(squares_of(floor)), *seed, "goals")
    if len(squares) < 2 * boxes + 2:
        return None
    goals = sum(1 << square for square in squares[:boxes])
    return Level(size + 2, size + 2, floor, goals, goals, squares[boxes])


def len_of(area: int) -> int:
    """Return how many squares there are in a set."""
    return area.bit_count()


def _pulled(room: Level, pushes: int, seed: tuple[object, ...]) -> Level | None:
    """Pull boxes from the goals until the way back takes `pushes`. None if there is no such state."""
    stride = room.stride
    free = room.floor & ~room.goals
    edge: set[tuple[int, int]] = set()  # boxes, and the area in which the player can walk
    for square in squares_of(free):
        edge.add((room.goals, reached(square, free, stride)))
    seen, dropped = set(edge), False
    for _ in range(pushes):
        before: set[tuple[int, int]] = set()
        for boxes, area in edge:
            for box in squares_of(boxes):
                for delta in room.deltas:
                    stand, behind = box + delta, box + 2 * delta
                    if area >> stand & 1 and room.floor & ~boxes & 1 << behind:
                        pulled = boxes ^ (1 << box | 1 << stand)
                        before.add((pulled, reached(behind, room.floor & ~pulled, stride)))
        edge = before - seen
        seen |= edge
        if len(edge) > WIDEST:
            dropped = True
            edge = set(sorted(edge, key=lambda state: digest(*seed, *state))[:WIDEST])
    if not edge:
        return None
    fewest = min(len_of(boxes & room.goals) for boxes, _ in edge)
    boxes, area = min(
        (state for state in edge if len_of(state[0] & room.goals) == fewest),
        key=lambda state: digest(*seed, "start", *state),
    )
    player = shuffled(list(squares_of(area)), *seed, "player")[0]
    level = Level(room.rows, room.columns, room.floor, room.goals, boxes, player)
    if dropped and solve(level, boxes, player, cost="pushes").pushes != pushes:
        return None
    return level


def _canonical(room: Level) -> str:
    """Return the least of the eight texts of a room, turned and mirrored."""
    signs = room.blank().decode().splitlines()
    texts = []
    for _ in range(4):
        signs = ["".join(column) for column in zip(*signs[::-1], strict=True)]
        texts += ["\n".join(signs), "\n".join(signs[::-1])]
    return min(texts)
