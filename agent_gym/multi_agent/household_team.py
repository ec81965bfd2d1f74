"""Several robots in one house: one simulator, in which they stand in for each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent_gym.envs.alfworld.engine import NOTHING_HAPPENS, Simulator
from agent_gym.envs.alfworld.problem import Game
from agent_gym.multi_agent.household_facts import STATES, Facts

WAIT = "wait"
"""What a robot can do beside the house's own commands: nothing."""
_IDLE = ("look", "inventory", "help", "examine", WAIT)
"""First words of the commands that change nothing."""


def changes(command: str) -> bool:
    """Return whether a command that is possible changes the house or the robot."""
    return command.split(" ", 1)[0] not in _IDLE


@dataclass(slots=True)
class Body:
    """Where one robot is and what it holds, by the game's ids."""

    location: str
    held: str | None = None


class TeamSimulator:
    """One house, several robots; each has a place and hands of its own, all else they share."""

    def __init__(self, game: Game, robots: int) -> None:
        """Put all robots at the game's start with empty hands."""
        self.game = game
        self._sim = Simulator(game)
        self._bodies = [Body(game.start) for _ in range(robots)]

    def step(self, commands: Sequence[str]) -> list[tuple[str, bool]]:
        """Carry out one command of each robot, in order; return the answers and whether each was possible.

        A later robot finds the house as the earlier ones have left it in this step.
        """
        answers = []
        for body, command in zip(self._bodies, commands, strict=True):
            if command == WAIT:
                answers.append(("You wait.", True))
                continue
            self._sim.stand_in(body.location, body.held)
            answers.append(self._sim.step(command) if command else (NOTHING_HAPPENS, False))
            body.location, body.held = self._sim.location, self._sim.held
        return answers

    def admissible(self, robot: int) -> tuple[str, ...]:
        """Return the commands that are possible for a robot now, sorted."""
        body = self._bodies[robot]
        self._sim.stand_in(body.location, body.held)
        return tuple(sorted((*self._sim.admissible(), WAIT)))

    def facts(self) -> Facts:
        """Return what is true in the house."""
        names = self.game.names
        return Facts(
            {names[thing]: names[place] for place, inside in self._sim.contents.items() for thing in inside},
            frozenset((word, names[thing]) for word, flag in STATES.items() for thing in self._sim.flags[flag]),
        )

    def furniture(self) -> list[str]:
        """Return a line for each place: its name, whether it is open, what is there."""
        names, sim = self.game.names, self._sim
        lines = []
        for place in sorted(self.game.receptacles, key=lambda one: _by_number(names[one])):
            door = (" (open)" if place in sim.opened else " (closed)") if place in self.game.openable else ""
            things = sorted((names[thing] for thing in sim.contents.get(place, ())), key=_by_number)
            lines.append(f"{names[place]}{door}: {', '.join(things) or 'nothing'}")
        return lines

    def key(self) -> str:
        """Return a text that says where all robots are, what they hold, and what differs from the start."""
        bodies = [self.body(robot) for robot in range(len(self._bodies))]
        self._sim.stand_in(self.game.start, None)
        return ",".join(bodies) + self._sim.state_key().partition("@")[2]

    def body(self, robot: int) -> str:
        """Return where a robot is and what it holds."""
        names, body = self.game.names, self._bodies[robot]
        return f"{names[body.location]}/{names[body.held] if body.held else '-'}"

    def get_state(self) -> Any:
        """Return a state that pickles and that later steps do not change."""
        return self._sim.get_state(), tuple((body.location, body.held) for body in self._bodies)

    def set_state(self, state: Any) -> None:
        """Go back to a state of the same game."""
        house, bodies = state
        self._sim.set_state(house)
        self._bodies = [Body(*body) for body in bodies]


def _by_number(name: str) -> tuple[str, int]:
    kind, _, number = name.rpartition(" ")
    return (kind, int(number)) if number.isdigit() else (name, 0)
