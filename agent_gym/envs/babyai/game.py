"""What minigrid's BabyAI levels are to us: their names, tasks, words and states.

minigrid is imported when it is first needed. Its environments come without types, hence `Any`.
"""

from __future__ import annotations

import contextlib
import functools
import io
import re
import threading
from collections.abc import Iterator
from typing import Any

import gymnasium as gym

from agent_gym.envs.babyai.commands import NOTHING
from agent_gym.envs.babyai.expert import solves
from agent_gym.envs.diagnostic import SPLITS, digest
from agent_gym.errors import BadOptionError, MissingExtraError, did_you_mean

_WITHOUT_EXPERT = ("KeyInBox", "PutNextS5N2Carrying", "PutNextS6N3Carrying", "PutNextS7N4Carrying")
"""Levels of which the package's bot solves no task, so that nothing here would show them to be solvable."""
_QUIET = threading.Lock()
"""There is one standard output in a process: threads that take it away at once would not give back the right one."""
_TRIES = 400
_MIDDLE = 3
"""Column of the agent in its view; it stands in the last row."""
_WALL, _DOOR = 2, 4
_KINDS = {_DOOR: "door", 5: "key", 6: "ball", 7: "box", 8: "goal"}
_COLOURS = ("red", "green", "blue", "purple", "yellow", "grey")
_DOORS = ("an open", "a closed", "a locked")


@functools.cache
def levels() -> dict[str, str]:
    """Return the names of the levels, each with the id under which minigrid registers it, sorted.

    Left out are those for debugging, and the four that the package's bot can't play.

    Raises:
        MissingExtraError: Without minigrid.
    """
    try:
        import minigrid  # noqa: F401  registers its ids
    except ImportError as error:
        raise MissingExtraError(
            f"AgentGym/BabyAI-v0 needs the package minigrid ({error}): pip install 'agent-gym[babyai]'"
        ) from error
    found = {}
    for env_id in sorted(gym.registry):
        named = re.fullmatch(r"BabyAI-(\w+)-v\d+", env_id)
        if named and not named[1].endswith("Debug") and named[1] not in _WITHOUT_EXPERT:
            found[named[1]] = env_id
    return found


def make_game(level: str) -> Any:
    """Return minigrid's environment of a level, without wrappers.

    Raises:
        BadOptionError: If there is no such level.
        MissingExtraError: Without minigrid.
    """
    known = levels()
    if not isinstance(level, str) or level not in known:
        raise BadOptionError(
            f"level must be one of minigrid's BabyAI levels, such as 'GoToLocal', got {level!r}."
            f"{did_you_mean(str(level), known)} Known are {', '.join(known)}."
        )
    return gym.make(known[level], disable_env_checker=True).unwrapped


def start(game: Any, seed: int) -> list[Any]:
    """Start the game of a seed and return what is seen: type, colour and state of each cell of the view, by column."""
    with _QUIET, contextlib.redirect_stdout(io.StringIO()):  # minigrid prints what it draws in vain
        observation, _ = game.reset(seed=seed)
    seen: list[Any] = observation["image"].tolist()
    return seen


@functools.lru_cache(maxsize=4096)
def seed_of(level: str, split: str, number: int) -> int:
    """Return minigrid's seed of a task.

    The layout decides to which split it belongs, so splits share none. Left out are layouts whose mission is fulfilled
    before anything is done, and those that the package's bot does not solve.

    Raises:
        BadOptionError: If no seed fits, because the level has too few layouts.
    """
    game = make_game(level)
    for attempt in range(_TRIES):
        seed = digest("BabyAI", level, split, number, attempt) % 2**32
        start(game, seed)
        layout = game.grid.encode().tobytes().hex(), game.agent_pos, int(game.agent_dir), game.mission
        if SPLITS[digest("BabyAI layout", *layout) % len(SPLITS)] != split:
            continue
        *_, over, _, _ = game.step(NOTHING)  # what ends now was at an end before
        if not over and solves(game, functools.partial(start, game, seed)):
            return seed
    raise BadOptionError(
        f"expected a layout of level {level!r} for the split {split!r}, got none in {_TRIES} seeds; take a larger "
        "level."
    )


def describe(seen: list[Any], carrying: Any) -> str:
    """Return what is seen and carried in words, the nearest first.

    Of the walls only those straight ahead and straight to the sides are told, as in BabyAI-Text.
    """
    found = []
    for side, column in enumerate(seen):
        for ahead, (kind, colour, state) in enumerate(reversed(column)):
            if kind in _KINDS and (side != _MIDDLE or ahead):
                article = _DOORS[state] if kind == _DOOR else "a"
                found.append((ahead, side - _MIDDLE, f"{article} {_COLOURS[colour]} {_KINDS[kind]}"))
            elif kind == _WALL and (side == _MIDDLE or not ahead):
                found.append((ahead, side - _MIDDLE, "a wall"))
    found.sort(key=lambda thing: (thing[0] + abs(thing[1]), thing))
    lines = [f"You see {words} {_place(ahead, side)}." for ahead, side, words in _nearest_walls(found)]
    held = "nothing" if carrying is None else f"a {carrying.color} {carrying.type}"
    return "\n".join([*lines, f"You carry {held}."])


def _nearest_walls(found: list[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
    """Leave out a wall behind a wall."""
    told = set()
    for ahead, side, words in found:
        if words == "a wall":
            direction = (ahead > 0, (side > 0) - (side < 0))
            if direction in told:
                continue
            told.add(direction)
        yield ahead, side, words


def _place(ahead: int, side: int) -> str:
    """Return a place in the agent's view: "2 steps forward and 1 step left"."""
    parts = [f"{ahead} step{'s' * (ahead > 1)} forward"] if ahead else []
    if side:
        parts.append(f"{abs(side)} step{'s' * (abs(side) > 1)} {'left' if side < 0 else 'right'}")
    return " and ".join(parts)


def things_of(game: Any) -> list[Any]:
    """Return what can move or change in the order of the grid, contents of boxes after them; the places are names."""
    found = []
    for thing in [*game.grid.grid, game.carrying]:
        while thing is not None:
            if thing.type not in ("wall", "floor"):
                found.append(thing)
            thing = thing.contains
    return found


def placed(game: Any, things: list[Any]) -> int:
    """Return a hash of where everything is and what is carried; walking and turning change nothing of it.

    Equal things are told apart, since a mission may be about one of them ("the ball on your left").
    """
    number = {id(thing): place for place, thing in enumerate(things)}
    cells = [
        (place, number[id(thing)], getattr(thing, "is_open", None), getattr(thing, "is_locked", None))
        for place, thing in enumerate(game.grid.grid)
        if id(thing) in number
    ]
    return digest(cells, number.get(id(game.carrying)))


def state_of(game: Any, things: list[Any], places: int) -> str:
    """Return a hash of all that decides what can happen: places, the agent's own, what the mission remembers.

    The mission's places are part of it: minigrid looks for the things to go to when it starts and when something is
    dropped, not when something is picked up.

    Args:
        game: The game.
        things: What `things_of` gave at its start.
        places: What `placed` gives now.
    """
    x, y = game.agent_pos
    return f"{digest(places, int(x), int(y), int(game.agent_dir), _remembered(game.instrs, things)):016x}"


def _remembered(instruction: Any, things: list[Any]) -> Any:
    """Return what a verifier of a mission keeps between steps."""
    if hasattr(instruction, "instr_a"):
        parts = [_remembered(part, things) for part in (instruction.instr_a, instruction.instr_b)]
        return instruction.a_done, instruction.b_done, parts
    places = [
        [(int(x), int(y)) for x, y in getattr(instruction, name).obj_poss]
        for name in ("desc", "desc_move", "desc_fixed")
        if hasattr(instruction, name)
    ]
    held = getattr(instruction, "preCarrying", None)
    return None if held is None else [thing is held for thing in things].index(True), places


def done_share(instruction: Any) -> float:
    """Return which share of a mission's parts is done; a mission of one part is done only when the episode ends."""
    parts = list(_parts(instruction, done=False))
    return sum(parts) / len(parts)


def _parts(instruction: Any, *, done: bool) -> Iterator[bool]:
    if not hasattr(instruction, "instr_a"):
        yield done
        return
    yield from _parts(instruction.instr_a, done=done or instruction.a_done == "success")
    yield from _parts(instruction.instr_b, done=done or instruction.b_done == "success")
