"""An expert for ALFWorld that plays from the text alone, and wins within the benchmark's 50 steps.

It looks for what the task needs where such things usually lie, each time at the receptacle with the highest chance of
holding it per step that looking there costs, remembers whatever it sees on the way, and carries out the task with the
commands that the game's wording knows. It never sees admissible commands or the state of the simulator, draws no random
numbers, and may take over after any beginning.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from importlib import resources
from typing import Literal

from agent_gym.envs.alfworld.expert_belief import Belief, kind_of
from agent_gym.envs.alfworld.expert_task import STATIONS, Task, parse_task
from agent_gym.errors import BadOptionError, EpisodeError, did_you_mean

_UNHEARD_OF = 0.02
"""Weight of a receptacle in which an object of the kind neither has been seen nor fits: looked into last."""


PRIORS = ("counted", "none")
"""What an expert may know about where things lie."""


class Prior:
    """How likely one receptacle of a kind holds an object of a kind, up to a factor that depends on the object only.

    Attributes:
        weights: Kind of object to kind of receptacle to weight.
        closed: Kind of receptacle to how often it is closed at first.
    """

    def __init__(self, weights: dict[str, dict[str, float]], closed: dict[str, float]) -> None:
        self.weights = weights
        self.closed = closed

    def weight(self, kind: str, receptacle: str) -> float:
        """Return the weight of one receptacle of a kind; kinds that are not known at all weigh the same everywhere."""
        known = self.weights.get(kind)
        return 1.0 if known is None else known.get(receptacle, _UNHEARD_OF)


@functools.cache
def load_prior(name: str = "counted") -> Prior:
    """Return the prior counted from training games, or with `"none"` one to which all places are alike.

    Raises:
        BadOptionError: If `name` is neither.
    """
    if name not in PRIORS:
        raise BadOptionError(f"prior must be one of {list(PRIORS)}, got {name!r}.{did_you_mean(str(name), PRIORS)}")
    file = resources.files("agent_gym.envs.alfworld").joinpath("data", "expert_prior.json")
    facts = json.loads(file.read_text(encoding="utf-8"))
    return Prior(facts["weights"] if name == "counted" else {}, facts["closed"])


class AlfworldExpert:
    """A player for one episode; see `agent_gym.core.Expert`.

    Example:
        >>> expert = AlfworldExpert()
        >>> expert.observe(None, "Here you see a desk 1, and a drawer 1. Your task is to: put a book in drawer.")
        >>> expert.act()
        'go to desk 1'
    """

    def __init__(self, *, prior: Literal["counted", "none"] = "counted") -> None:
        """Set up a player.

        Args:
            prior: What it knows about where things lie: `"counted"` from the benchmark's training games, or `"none"`,
                which makes a player that solves every task but searches longer.

        Raises:
            BadOptionError: If there is no such prior.
        """
        self._prior = load_prior(prior)
        self._belief: Belief | None = None
        self._task = Task("")
        self._next: str | None = None

    def observe(self, command: str | None, observation: str) -> None:
        """Take in an observation and the command that led to it; `None` starts a new episode.

        Raises:
            EpisodeError: If a command comes before any first observation.
        """
        self._next = None
        if command is None:
            self._belief = belief = Belief(observation)
            kinds = {kind_of(receptacle) for receptacle in belief.receptacles}
            self._task = parse_task(belief.sentence, self._prior.weights or load_prior().weights, kinds)
        elif self._belief is None:
            raise EpisodeError(
                f"Expected a first observation, got what {command!r} led to; call observe(None, …) first."
            )
        else:
            self._belief.update(command, observation)

    def act(self) -> str:
        """Return the next command; `"look"` once nothing is left to try.

        Raises:
            EpisodeError: Before the first observation.
        """
        if self._belief is None:
            raise EpisodeError("act() was called before observe(): expected a first observation; tell it one first.")
        if self._next is None:
            self._next = _Turn(self._belief, self._task, self._prior).decide()
        return self._next


class _Turn:
    """One decision: belief and task in, command out; every step of the way is a method that returns one or `None`."""

    __slots__ = ("belief", "prior", "task")

    def __init__(self, belief: Belief, task: Task, prior: Prior) -> None:
        self.belief = belief
        self.task = task
        self.prior = prior

    def decide(self) -> str:
        task, held = self.task, self.belief.held
        if not task.object:
            return self.search("") or "look"
        if held is not None and (kind_of(held) != task.object or self.useless(held)):
            return self.drop(held) or self.search("") or "look"
        if held is None:
            return self.fetch() or self.search(task.object) or "look"
        if task.lamp:
            return self.light() or self.search(task.lamp) or "look"
        if task.treatment and task.treatment not in self.belief.treated.get(held, ()):
            return self.treat(held, task.treatment) or self.search("") or "look"
        return self.deliver(held) or self.search("") or "look"

    # Parts of a task --------------------------------------------------------------------------------------------------

    def fetch(self) -> str | None:
        """Take the nearest known object of the kind that is not where it belongs already."""
        settled = self.settled(self.base()) if self.task.target else set()
        best: tuple[int, str, str] | None = None
        for receptacle, things in self.belief.contents.items():
            for thing in things:
                if kind_of(thing) != self.task.object or thing in settled or self.useless(thing):
                    continue
                if f"take {thing} from {receptacle}" in self.belief.failed:
                    continue
                cost = self.cost(receptacle)
                if best is None or cost < best[0]:
                    best = (cost, thing, receptacle)
        return None if best is None else self.reach(best[2]) or f"take {best[1]} from {best[2]}"

    def treat(self, held: str, treatment: str) -> str | None:
        """Clean, heat or cool what is held; the station need not be open."""
        for station in self.stations(treatment):
            command = f"{treatment} {held} with {station}"
            if command not in self.belief.failed:
                return self.approach(station) or command
        return None

    def deliver(self, held: str) -> str | None:
        """Put what is held into the receptacle that is furthest along, then easiest."""
        base = self.base()
        best: tuple[float, str] | None = None
        for receptacle in self.targets():
            if self.putting(held, receptacle) is None:
                continue
            cost = -100.0 if receptacle == base else float(self.cost(receptacle))
            if self.task.count > 1 and receptacle not in self.belief.contents:
                cost -= 0.5  # what lies there must be seen anyway
            if best is None or cost < best[0]:
                best = (cost, receptacle)
        return None if best is None else self.reach(best[1]) or self.putting(held, best[1])

    def light(self) -> str | None:
        """Switch on the nearest known lamp."""
        lamps = [
            (self.cost(receptacle), receptacle, thing)
            for receptacle, things in self.belief.contents.items()
            for thing in things
            if kind_of(thing) == self.task.lamp and f"use {thing}" not in self.belief.failed
        ]
        if not lamps:
            return None
        _, receptacle, lamp = min(lamps, key=lambda entry: entry[0])
        return self.approach(receptacle) or f"use {lamp}"

    def search(self, kind: str) -> str | None:
        """Look next where the chance of finding an object of the kind is highest for each step it costs."""
        belief, prior = self.belief, self.prior
        best, where = 0.0, None
        for receptacle in belief.receptacles:
            closed = belief.closed.get(receptacle)
            hopeless = f"open {receptacle}" if closed else f"examine {receptacle}"
            if receptacle in belief.contents or hopeless in belief.failed:
                continue
            place = kind_of(receptacle)
            steps = (not belief.here(receptacle)) + (prior.closed.get(place, 0.0) if closed is None else closed)
            score = prior.weight(kind, place) / max(steps, 0.5)
            if score > best:
                best, where = score, receptacle
        return None if where is None else self.reach(where) or f"examine {where}"

    def drop(self, held: str) -> str | None:
        """Put down what is of no use, where it fits with the least trouble."""
        fits = self.prior.weights.get(kind_of(held)) or load_prior().weights.get(kind_of(held), {})
        for known in (True, False):
            places = [r for r in self.belief.receptacles if (kind_of(r) in fits) == known and self.putting(held, r)]
            if places:
                receptacle = min(places, key=self.cost)
                return self.reach(receptacle) or self.putting(held, receptacle)
        return None

    # Where and how ----------------------------------------------------------------------------------------------------

    def targets(self) -> Iterator[str]:
        return (r for r in self.belief.receptacles if kind_of(r) == self.task.target)

    def stations(self, treatment: str) -> list[str]:
        return [r for r in self.belief.receptacles if kind_of(r) == STATIONS[treatment]]

    def settled(self, receptacle: str | None) -> set[str]:
        """Return the objects in a receptacle that count towards the goal."""
        treatment = self.task.treatment
        return {
            thing
            for thing in self.belief.contents.get(receptacle or "", ())
            if kind_of(thing) == self.task.object and (not treatment or treatment in self.belief.treated.get(thing, ()))
        }

    def base(self) -> str | None:
        """Return the target receptacle that holds the most of what belongs there; `None` while all are empty."""
        counts = [(len(self.settled(r)), r) for r in self.targets() if r in self.belief.contents]
        most = max((n for n, _ in counts), default=0)
        return next((r for n, r in counts if n == most), None) if most else None

    def useless(self, thing: str) -> bool:
        """Return whether every station has refused to treat the object."""
        treatment, failed = self.task.treatment, self.belief.failed
        if not treatment or not failed:
            return False
        stations = self.stations(treatment)
        return bool(stations) and all(f"{treatment} {thing} with {station}" in failed for station in stations)

    def putting(self, held: str, receptacle: str) -> str | None:
        """Return the command that puts the object there, in the likelier wording; `None` if both have failed."""
        put, move = f"put {held} in/on {receptacle}", f"move {held} to {receptacle}"
        for command in (move, put) if self.belief.moves else (put, move):
            if command not in self.belief.failed:
                return command
        return None

    def cost(self, receptacle: str) -> int:
        """Return the number of steps until one can take from a receptacle or put into it."""
        return (not self.belief.here(receptacle)) + self.shut(receptacle)

    def shut(self, receptacle: str) -> bool:
        """Return whether a receptacle must be opened, by what is known or else by what is usual."""
        closed = self.belief.closed.get(receptacle)
        if closed is None:
            closed = self.prior.closed.get(kind_of(receptacle), 0.0) > 0.5
        return closed and f"open {receptacle}" not in self.belief.failed

    def approach(self, receptacle: str) -> str | None:
        return None if self.belief.here(receptacle) else f"go to {receptacle}"

    def reach(self, receptacle: str) -> str | None:
        """Return the command that is still needed before the receptacle can be used."""
        if not self.belief.here(receptacle):
            return f"go to {receptacle}"
        if self.shut(receptacle):
            return f"open {receptacle}"
        return None
