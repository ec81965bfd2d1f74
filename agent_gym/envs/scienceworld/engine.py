"""ScienceWorld's engine: games on the Java machine of this process, each as if it were alone there.

The engine keeps the state of its random generator, the number of the last object made and the simplifications in force
in one place for all games. Here each game has its own: they are put back before a game goes on.
"""

from __future__ import annotations

import json
import os
import sys
import weakref
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from agent_gym.envs.scienceworld.java import Java, java

NOT_UNDERSTOOD = "No known action matches that input."
_ASKS = "Ambiguous request"
_STOP_WORDS = frozenset(("a", "an", "the"))
_LOOK_AT, _TELEPORT = "look at ", "teleport to "
_CHOICE = 100
"""Template number from which on the engine lists answers to its own question, not commands."""
_SCRAMBLE = 0x5DEECE66D
"""What `java.util.Random.setSeed` combines a number with to make the state of the generator."""
_MOST = 99
"""Points of what is not completed, at most: the engine's are rounded."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What decides how a game starts and goes on."""

    kind: str
    variation: int
    simplifications: str


@dataclass(frozen=True, slots=True)
class Frame:
    """What came of a command."""

    text: str
    points: int
    """0 to 100, and 100 exactly if the task is completed; negative if it has failed for good."""
    over: bool
    commands: tuple[str, ...]
    """What may be said next, sorted."""
    understood: bool = True
    """Whether it was carried out, or asked back about. Otherwise nothing has changed."""
    asks: bool = False
    """Whether the engine waits for the number of what was meant."""


class _Shared:
    """What all games on one Java machine share, and whose it is at the moment."""

    def __init__(self, machine: Java) -> None:
        self.machine = machine
        self.parser = machine.singleton("scienceworld.input.InputParser")
        self.arrays = machine.singleton("scala.Predef")
        self.paths = machine.singleton("scienceworld.goldagent.PathFinder")
        self._random = machine.singleton("scala.util.Random").self()
        self._state = machine.jvm.java.lang.Class.forName("java.util.Random").getDeclaredField("seed")
        self._state.setAccessible(True)
        self._counter = machine.singleton("util.UniqueIdentifier")
        self._simplifier = machine.singleton("main.scala.scienceworld.runtime.SimplifierProcessor")
        self._owner: Game | None = None

    @property
    def chance(self) -> int:
        return int(self._state.get(self._random))

    @chance.setter
    def chance(self, state: int) -> None:
        self._random.setSeed(state ^ _SCRAMBLE)

    def give_to(self, game: Game | None) -> None:
        """Keep what is another game's, and put back what is this game's."""
        if self._owner is game:
            return
        if self._owner is not None:
            self._owner.kept = (self.chance, int(self._counter.count()), str(self._simplifier.getSimplificationsUsed()))
        if game is not None and game.kept is not None:
            self.chance, made, simplifications = game.kept
            getattr(self._counter, "count_$eq")(made)
            self.machine.forget(self._simplifier.parseSimplificationStr(simplifications.replace(" ", "")))
        self._owner = game


@lru_cache(maxsize=1)
def _shared_on(machine: Java) -> _Shared:
    with machine.held():
        return _Shared(machine)


class Game:
    """One game of the engine, in the process that made it."""

    def __init__(self) -> None:
        """Make it, without loading anything.

        Raises:
            MissingExtraError: If scienceworld or Java is missing.
        """
        self.machine = java()
        self._shared = _shared_on(self.machine)
        self._server = self.machine.jvm.scienceworld.runtime.pythonapi.PythonInterface()
        self.kept: tuple[int, int, str] | None = None
        self._pid = os.getpid()
        self._free = weakref.finalize(self, _forget, self.machine, self._server, self._pid)
        self._free.atexit = False  # the machine ends then anyway

    def close(self) -> None:
        """Let Java free it."""
        if self.machine.runs:
            with self.machine.held():
                self._shared.give_to(None)
        self._free()

    def start(self, setup: Setup) -> Frame:
        """Load a task and look around, as scienceworld's own `reset` does; return the description and the sight."""
        with self.machine.held():
            seen = self.load(setup)
            return self._frame(f"{self._server.getTaskDescription()}\n\n{seen}")

    def load(self, setup: Setup) -> str:
        """Do the same and return the sight alone, which is quicker."""
        with self.machine.held():
            self._load(setup, gold=False)
            return str(self._server.step("look around"))

    def gold(self, setup: Setup) -> tuple[str, ...]:
        """Return the commands with which scienceworld's own player solves a task; it plays it for that."""
        with self.machine.held():
            self._shared.paths.precomputedExhaustivePaths().clear()  # or else what was asked for before has a say
            self._load(setup, gold=True)
            found = self._server.getGoldActionSequence()
            joined = str(self.machine.jvm.java.lang.String.join("\n", found))
            self.machine.forget(found)
        return tuple(joined.split("\n")) if joined else ()

    def play(self, command: str) -> Frame:
        """Say something and return what comes of it."""
        with self.machine.held():
            self._shared.give_to(self)
            return self._frame(str(self._server.step(command)))

    def repeat(self, command: str) -> None:
        """Say something whose outcome is known."""
        with self.machine.held():
            self._shared.give_to(self)
            self._server.step(command)

    def cancel(self) -> None:
        """Take back a command that the engine has asked back about."""
        with self.machine.held():
            interface = self._content(self._server.agentInterface())
            parser = interface.inputParser()
            parser.clearAmbiguousState()
            self.machine.forget(interface, parser)

    @property
    def is_here(self) -> bool:
        """Whether it was made in this process, not in one that this was forked from, on a machine that still runs."""
        return os.getpid() == self._pid and self.machine.runs

    def _load(self, setup: Setup, *, gold: bool) -> None:
        self._shared.give_to(None)
        self.kept = None
        self._server.load(setup.kind, setup.variation, setup.simplifications, gold)
        self._shared.give_to(self)

    def _frame(self, text: str) -> Frame:
        points = round(100 * float(self._server.getScore()))
        completed = bool(self._server.getCompleted())
        if points >= 0 and not completed:
            points = min(points, _MOST)
        over = completed or points < 0
        return Frame(
            text=text.strip(),
            points=points,
            over=over,
            commands=() if over else self._commands(),
            understood=text != NOT_UNDERSTOOD,
            asks=text.startswith(_ASKS),
        )

    def _commands(self) -> tuple[str, ...]:
        """Return what the engine lists as possible, without what its own parser does not understand, sorted.

        The engine also lists what is in closed containers, and names that its parser has no use for. Listing draws at
        random which of several names to use; the draw is always the same, and what comes later does not depend on it.
        """
        chance = self._shared.chance
        self._shared.chance = 0
        listed = json.loads(self._server.getValidActionObjectCombinationsJSON())["validActions"]
        self._shared.chance = chance
        if listed and listed[0]["template_id"] >= _CHOICE:
            return tuple(str(one["action"]) for one in listed)
        known = self._known_names()
        understood = {
            one["obj_ids"][0]
            for one in listed
            if one["action"].startswith(_LOOK_AT) and _bare(one["action"].removeprefix(_LOOK_AT)) in known
        }
        commands = {
            one["action"]
            for one in listed
            if understood.issuperset(one["obj_ids"]) or one["action"].startswith(_TELEPORT)
        }
        return tuple(sys.intern(command) for command in sorted(commands))

    def _known_names(self) -> set[str]:
        """Return the names by which the parser knows what is in reach."""
        agent = self._content(self._server.agent())
        room = self._content(agent.getContainer())
        known: set[str] = set()
        for place in (room, agent):
            names = self._shared.parser.getPossibleReferents(place, room)
            joined = self._shared.arrays.genericArrayOps(names)
            known.update(str(joined.mkString("\n")).split("\n"))
            self.machine.forget(names, joined)
        self.machine.forget(room, agent)
        return known

    def _content(self, option: Any) -> Any:
        """Return what a Scala option holds; what is not forgotten by hand Java would keep, and the world it is in."""
        content = option.get()
        self.machine.forget(option)
        return content


def _bare(name: str) -> str:
    """Return a name as the parser compares it."""
    return " ".join(word for word in name.lower().split() if word not in _STOP_WORDS)


def _forget(machine: Java, server: Any, pid: int) -> None:
    if os.getpid() == pid:
        machine.forget(server)


@lru_cache(maxsize=512)
def gold_path(setup: Setup) -> tuple[str, ...]:
    """Return scienceworld's own solution of a task; working it out takes as long as playing it.

    Raises:
        MissingExtraError: If scienceworld or Java is missing.
    """
    game = Game()
    path = game.gold(setup)
    game.close()
    return path
