"""One game played by TextWorld's engine: the Z-machine says what happens, the engine's logic keeps the facts.

The interpreter prints the names of the actions that it carried out; each is looked up among those that are possible in
the state and applied to the facts. The engine's own wrapper does the same, and a test plays both side by side. Here,
beyond that, what is no command can be taken back, quests and the order of things are followed for the state key, and an
episode is restored without playing it again.
"""

from __future__ import annotations

import hashlib
import re
import threading
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from agent_gym.envs.textworld.files import GamePath
from agent_gym.envs.textworld.maker import EXTRA
from agent_gym.errors import GameFileError, MissingExtraError

ENGINE = threading.RLock()
"""Held while the engine is asked: its parsers keep what they are at in one place for all threads."""
_KEPT = 64
_REMEMBERED = 500
_PLACES = ("at", "in", "on")
_UNWON = 0.99
"""Most that is scored without winning: all points of a game, and yet lost."""

_TAG = re.compile(r"\[[^\]]+\]\n?")
_DONE = re.compile(r"\[([^\]]+?) - succeeded[^\]]*\]")
_POINTS = re.compile(r"You scored (-?\d+) out of|=-(-?\d+)/\d+\s*$")
"""In the last words of a game, else in the status line, which then still has those of the turn before."""
_PROMPT = re.compile(r"\n*>[^\n>]*$")
_ENDING = re.compile(r"\n*Would you like to RESTART.*", re.DOTALL)
_UNSOUND = (LookupError, ValueError, TypeError, AttributeError, AssertionError, StopIteration)
"""What the engine makes of files that are no games of its own."""
_TURNS = re.compile(r",? in \d+ turns?")
_WON, _LOST = "*** The End ***", "*** You lost! ***"

_REFUSED = re.compile(
    r"(?i)\b(tw-.*|print_state|again|g|oops|o|it|them|him|her|undo|restart|restore|save|quit|q|(un|no)?script|transcript|"
    r"verify|version|(super)?brief|verbose|normal|long|short|notify|nouns|pronouns|random|test|enable|disable)\b"
)
"""Words of commands that are about the interpreter, depend on what was said before, or tell what can't be seen."""
_PLAIN = re.compile(r"[ -~]{1,150}")
NOT_UNDERSTOOD = "That is no command here."
ONE_AT_A_TIME = "One command at a time, please."


class Game:
    """What all players of one game share: its facts and quests, and what is possible in each state met so far."""

    def __init__(self, path: GamePath) -> None:
        """Load a game.

        Raises:
            GameFileError: If the engine can't make sense of it.
            MissingExtraError: If the engine is not installed.
        """
        try:
            from tatsu.exceptions import ParseException
            from textworld.generator.game import Game as EngineGame
            from textworld.generator.inform7 import Inform7Game
        except ImportError as error:
            raise MissingExtraError(EXTRA) from error
        facts = path.story.with_suffix(".json")
        self.path = path
        self._possible: dict[frozenset[Any], dict[str, Any]] = {}
        try:
            self.game = EngineGame.load(str(facts))
            self.inform = Inform7Game(self.game)
            self.start = frozenset(self.game.world.state.facts)
            self.most = self.game.max_score
            at = [fact.arguments for fact in self.start if fact.name == "at"]
            self.room = self.game.infos[next(room.name for who, room in at if who.type == "P")].name
            self.possible(self.start)
        except (*_UNSOUND, ParseException) as error:
            raise GameFileError(
                f"{facts}: expected a game that TextWorld wrote, got {type(error).__name__}: {error}."
            ) from error

    @property
    def walkthrough(self) -> tuple[str, ...]:
        """The commands that the game's maker solved it with, if they are known."""
        return tuple(self.game.metadata.get("walkthrough") or ())

    def possible(self, facts: frozenset[Any]) -> dict[str, Any]:
        """Return the actions that are possible where these facts hold, by command, sorted."""
        known = self._possible.get(facts)
        if known is None:
            if len(self._possible) >= _REMEMBERED:
                self._possible.clear()
            rules, constants = self.game.kb.rules.values(), self.game.kb.types.constants_mapping
            actions = list(self.state(facts).all_applicable_actions(rules, constants))
            commands = self.inform.gen_commands_from_actions(actions)
            known = dict(sorted(zip(commands, actions, strict=True), key=lambda pair: (pair[0], str(pair[1]))))
            self._possible[facts] = known
        return known

    def state(self, facts: frozenset[Any]) -> Any:
        """Return the engine's own state object for facts."""
        from textworld.logic import State

        return State(self.game.kb.logic, facts)


@lru_cache(maxsize=_KEPT)
def load_game(path: GamePath) -> Game:
    """Load a game once per process."""
    return Game(path)


@dataclass(frozen=True, slots=True)
class Position:
    """All of a state but the interpreter's memory."""

    facts: frozenset[Any]
    done: tuple[bool, ...]
    """Of each quest, whether its points have been given."""
    moved: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Per place, the things that came there during the game, the last first: the order in which they are listed."""
    points: int = 0
    won: bool = False
    lost: bool = False
    actions: tuple[Any, ...] = ()
    """What was done, for the expert; not part of the key."""


class Player:
    """An episode of a game."""

    def __init__(self, game: Game) -> None:
        """Start an interpreter on the story file.

        Raises:
            MissingExtraError: If it is not installed.
        """
        try:
            import jericho
        except ImportError as error:
            raise MissingExtraError(EXTRA) from error
        self.game = game
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it can't tell the points of this game, which we read ourselves
            self._frotz = jericho.FrotzEnv(str(game.path.story), seed=1)
        self.position = self._first()

    def reset(self) -> str:
        """Start over and return the opening text, without the title's picture."""
        opening, _ = self._frotz.reset()
        self._check_story(opening)
        self._frotz.step("tw-trace-actions")
        self.position = self._first()
        _, picture, rest = opening.rpartition("$$$$$$$ \n")
        return _clean(rest if picture else opening)

    def _check_story(self, opening: str) -> None:
        """Refuse the story of another game, in which nothing that the facts make possible would ever be carried out."""
        room, story = self.game.room or "", self.game.path.story
        if re.fullmatch(r"[A-Za-z0-9 ]+", room) and f"-= {room} =-".lower() not in opening.lower():
            raise GameFileError(
                f"{story}: expected the story of the game in {story.with_suffix('.json').name}, which begins in the "
                f"place {room!r}, got that of another: copy both from where TextWorld wrote them together."
            )

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands that the engine names as possible, sorted; none when the game is over."""
        over = self.position.won or self.position.lost
        return () if over else tuple(self.game.possible(self.position.facts))

    @property
    def score(self) -> float:
        """The share of the game's points, 1 exactly when won."""
        if self.position.won:
            return 1.0
        most = self.game.most
        return min(max(self.position.points / most, 0.0), _UNWON) if 0 < most < float("inf") else 0.0

    def step(self, command: str) -> tuple[str, bool]:
        """Say something; return the answer, and whether it was carried out.

        What is not among `commands` is carried out too if it comes to exactly one of them, as `n` does for `go north`.
        Everything else is answered in the game's own words and changes nothing, not even the time.
        """
        words = " ".join(command.split())
        listed = words in self.game.possible(self.position.facts)
        if not listed and (not _PLAIN.fullmatch(words) or _REFUSED.search(words)):
            return NOT_UNDERSTOOD, False
        memory = self._frotz.get_state()
        raw = self._frotz.step(words)[0]
        done = [event for event in _DONE.findall(raw) if "(" not in event and ")" not in event]
        one = len(done) == 1 and self._action(done[0], self.position.facts) is not None
        if not (one or (listed and done)):  # it may also be waiting for an answer to a question of its own
            self._frotz.set_state(memory)
            return (ONE_AT_A_TIME if len(done) > 1 else _clean(raw)), listed
        self._follow(raw, done)
        return _clean(raw), True

    def state_key(self) -> str:
        """Return a digest of the facts, the quests, and the order of what lies together."""
        at = self.position
        together = Counter(
            fact.arguments[1].name for fact in at.facts if fact.name in _PLACES and len(fact.arguments) == 2
        )
        order = [(place, things) for place, things in at.moved if together[place] > 1]
        parts = [sorted(str(fact) for fact in at.facts), order, at.done, at.points, at.won, at.lost]
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]

    def get_state(self) -> tuple[Position, Any]:
        """Return the position and the interpreter's memory."""
        return self.position, self._frotz.get_state()

    def set_state(self, state: tuple[Position, Any]) -> None:
        """Go back to a state of the same game."""
        self.position, memory = state
        self._frotz.set_state(memory)

    def _first(self) -> Position:
        return Position(self.game.start, tuple(False for _ in self.game.game.quests))

    def _action(self, event: str, facts: frozenset[Any]) -> Any:
        return self.game.inform.detect_action(event, self.game.possible(facts).values())

    def _follow(self, raw: str, events: Sequence[str]) -> None:
        """Bring the position up to what the interpreter did."""
        at = self.position
        facts, moved, actions = at.facts, dict(at.moved), at.actions
        for event in events:
            action = self._action(event, facts)
            if action is None:
                continue
            facts = (facts - frozenset(action.removed)) | frozenset(action.added)
            _move(moved, action)
            actions = (*actions, action)
        state = self.game.state(facts)
        quests = self.game.game.quests
        done = tuple(
            was or (not quest.repeatable and quest.is_winning(state))
            for was, quest in zip(at.done, quests, strict=True)
        )
        points = _POINTS.search(raw)
        self.position = replace(
            at,
            facts=facts,
            done=done,
            moved=tuple(sorted(moved.items())),
            points=int(points[1] or points[2]) if points else at.points,
            won=_WON in raw,
            lost=_LOST in raw,
            actions=actions,
        )


def _move(moved: dict[str, tuple[str, ...]], action: Any) -> None:
    """Put the things that an action moves at the front of where they now are."""
    for fact in sorted(action.added, key=str):
        if fact.name in _PLACES and len(fact.arguments) == 2 and fact.arguments[0].type != "P":
            thing, place = fact.arguments[0].name, fact.arguments[1].name
            for other, things in list(moved.items()):
                moved[other] = tuple(one for one in things if one != thing)
            moved[place] = (thing, *moved.get(place, ()))
            for empty in [other for other, things in moved.items() if not things]:
                del moved[empty]


def _clean(raw: str) -> str:
    """Return the text without prompt, status line, names of actions, counts of turns and superfluous white space."""
    text = _ENDING.sub("", _PROMPT.sub("", _TAG.sub("", raw)))
    text = _TURNS.sub("", text)
    text = re.sub(r"(?m)^ {8,}|[ \t]+$", "", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()
