"""What all simulators of one game share: its words, its commands, and what can change the future.

A game has hundreds of possible commands, and a command's text never changes, so each is worded once per game and kept
here, however many simulators play the game.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from agent_gym.envs.alfworld.grammar import Predicate
from agent_gym.envs.alfworld.pddl import cannot_play
from agent_gym.envs.alfworld.problem import Game
from agent_gym.envs.alfworld.textgen import Scope, Text, Words, compiled_words

if TYPE_CHECKING:
    from agent_gym.envs.alfworld.engine import Simulator

Act: TypeAlias = "tuple[str, tuple[str, ...]]"
"""A ground action: its name and the ids of its parameters, in the order of `SCOPES`."""

_A, _L, _R, _O = ("a", "agent"), ("l", "location"), ("r", "receptacle"), ("o", "object")
SCOPES: dict[str, Scope] = {
    "look": (_A, _L),
    "inventory": (_A,),
    "help": (_A,),
    "examinereceptacle": (_A, _R),
    "examineobject": (_A, _O),
    "gotolocation": (_A, ("lstart", "location"), ("lend", "location"), _R),
    "openobject": (_A, _L, _R),
    "closeobject": (_A, _L, _R),
    "pickupobject": (_A, _L, _O, _R),
    "putobject": (_A, _L, _O, _R, ("ot", "otype"), ("rt", "rtype")),
    "cleanobject": (_A, _L, _R, _O),
    "heatobject": (_A, _L, _R, _O),
    "coolobject": (_A, _L, _R, _O),
    "toggleobject": (_A, _L, _O, _R),
    "sliceobject": (_A, _L, ("co", "object"), ("ko", "object")),
}
"""Parameters of every action, as the domain declares them."""

_MUST_SHOW: dict[str, frozenset[str]] = {
    name: frozenset(f"{{{placeholder}}}" for placeholder in shown.split())
    for shown, names in {
        "r": "examinereceptacle gotolocation openobject closeobject",
        "o r": "pickupobject putobject cleanobject heatobject coolobject",
        "o": "examineobject toggleobject",
        "co": "sliceobject",
    }.items()
    for name in names.split()
}
"""What a command must name so that no two different actions share a command."""

_MUST_NOT_SHOW = {"gotolocation": frozenset({"{lstart}"}), "putobject": frozenset({"{ot}", "{rt}"})}
"""What a command must not name: going is worded once for all starts, putting once for all types that fit."""

_FLOOR = frozenset(
    {
        Predicate("atlocation", (_A, _L)),
        Predicate("objectatlocation", (_O, _L)),
        Predicate("receptacleatlocation", (_R, _L)),
        Predicate("not_inreceptacle", (_O, _R)),
    }
)
"""The one condition of the published grammars that asks where an object is "at" and what it was taken from (see
`_KeyPolicy`)."""


@dataclass(frozen=True, slots=True)
class Place:
    """What is the same at every visit to one location of one game."""

    go: list[str]
    always: dict[str, Act]
    receptacles: tuple[str, ...]


class Shared:
    """What all simulators of one game share: words, unchanging commands, and which facts the state key must name."""

    def __init__(self, game: Game) -> None:
        self.game = game
        self.words: Words = compiled_words(game.grammar.rules)
        self.intro = self.words.rule("intro")
        self.answers: dict[str, Text] = {}
        self._commands: dict[str, Text] = {}
        for action in sorted(game.actions):
            shape = self.words.shape(action)
            needed, never = _MUST_SHOW.get(action, frozenset()), _MUST_NOT_SHOW.get(action, frozenset())
            if not needed.issubset(shape) or not never.isdisjoint(shape):
                raise cannot_play(f"the command for {action!r} must name {sorted(needed)} and not {sorted(never)}")
            self._commands[action] = self.words.command(action, SCOPES[action])
            self.answers[action] = self.words.feedback(action, SCOPES[action])
        self._texts: dict[Act, str] = {}
        self._places: dict[str, Place] = {}
        self.go: dict[str, str] = {}
        self.places_of: dict[str, frozenset[str]] = {}
        for receptacle, things in game.initial_contents.items():
            for thing in things:
                self.places_of[thing] = self.places_of.get(thing, frozenset()) | {receptacle}
        floor_only = all(
            frozenset(condition) == _FLOOR or not {p.name for p in condition} & {"objectatlocation", "not_inreceptacle"}
            for condition in self.words.conditions()
        )
        self.all_facts_matter = not floor_only or "objectatlocation" in game.goal.predicates
        self.appliances = (
            ("cleanobject", game.flags["cleanable"], game.clean_at),
            ("heatobject", game.flags["heatable"], frozenset({"microwavetype"})),
            ("coolobject", game.flags["coolable"], frozenset({"fridgetype"})),
        )
        self.crowded = frozenset(location for location, here in game.receptacles_at.items() if len(here) > 1)

    def text(self, sim: Simulator, act: Act) -> str:
        """Return the command for a ground action."""
        text = self._texts.get(act)
        if text is None:
            text = self._texts[act] = self._commands[act[0]](sim, act[1])
        return text

    def place(self, sim: Simulator, location: str) -> Place:
        """Return what is the same at every visit to a location."""
        place = self._places.get(location)
        if place is None:
            game = self.game
            if not self.go:
                self._word_going(sim)
            here = game.receptacles_at.get(location, ())
            acts: list[Act] = [("look", (game.agent, location)), ("inventory", (game.agent,))]
            acts += [("help", (game.agent,))] if "help" in game.actions else []
            acts += [("examinereceptacle", (game.agent, receptacle)) for receptacle in here]
            go = sorted(command for command, receptacle in self.go.items() if game.location_of[receptacle] != location)
            place = self._places[location] = Place(go, {self.text(sim, act): act for act in acts}, here)
        return place

    def _word_going(self, sim: Simulator) -> None:
        """Word the way to every receptacle, from anywhere else: the words of a condition never name one place twice."""
        game = self.game
        for receptacle in game.receptacles:
            end = game.location_of[receptacle]
            start = next((place for place in (game.start, *game.receptacles_at) if place != end), None)
            if start is not None:
                self.go[self._commands["gotolocation"](sim, (game.agent, start, end, receptacle))] = receptacle
