"""An episode of ScienceWorld: where it stands is told by the commands so far, and the engine follows when it must.

What has been seen once in a process is remembered, so that going back to a saved state costs nothing, nor does playing
again what has been played. For anything new the engine goes to where the episode stands, if need be from the start.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass

from agent_gym.envs.diagnostic import digest
from agent_gym.envs.scienceworld.engine import NOT_UNDERSTOOD, Frame, Game, Setup

_REMEMBERED = 2000
"""Most frames that are kept."""
_PLAIN = re.compile(r"[ -~]{1,200}")
_ANSWERED = ("help", "objects")
"""Questions that the engine's interface answers itself, with lists of commands and of names."""
_FREE = ("inventory", "look around", "task")
_TIMED = ("look at ", "look in ", "read ")
_TIME = "."

_frames: dict[Hashable, Frame] = {}
"""By setup and commands, the last included."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where an episode stands."""

    setup: Setup
    played: tuple[str, ...]
    """The commands that were carried out, and one at the end that is asked back about."""
    marks: tuple[str, ...]
    """What of them makes a difference: the state is a function of these."""
    frame: Frame

    @property
    def key(self) -> str:
        """A digest of all that the state depends on."""
        return f"{digest(self.setup, *self.marks):016x}"


class Session:
    """One environment's episodes."""

    position: Position

    def __init__(self) -> None:
        """Start nothing yet."""
        self._game: Game | None = None
        self._at: tuple[Setup, tuple[str, ...]] | None = None

    def begin(self, setup: Setup) -> None:
        """Start a task."""
        frame = _frames.get((setup, ()))
        if frame is None:
            frame = self._follow(setup, ())
            _remember((setup, ()), frame)
        self.position = Position(setup, (), (), frame)

    def play(self, command: str) -> Frame:
        """Say something; what is not understood changes nothing, and what is no answer takes the question back."""
        words = " ".join(command.lower().split())
        at = self.position
        if at.frame.asks and words not in at.frame.commands:
            at = self.position = self._before_question(at)
        if not _PLAIN.fullmatch(words):
            return _unchanged(at.frame, NOT_UNDERSTOOD)
        where = (at.setup, (*at.played, words))
        frame = _frames.get(where)
        if frame is None:
            frame = self._ask(at, words)
            _remember(where, frame)
        if frame.understood:
            self.position = Position(at.setup, where[1], _marks(at, words, frame), frame)
        return frame

    def close(self) -> None:
        """Let go of the engine's game."""
        if self._game is not None and self._game.is_here:
            self._game.close()
        self._game = self._at = None

    def _before_question(self, at: Position) -> Position:
        if self._at == (at.setup, at.played):
            assert self._game is not None, "it is somewhere"
            self._game.cancel()
            self._at = (at.setup, at.played[:-1])
        before = _frames.get((at.setup, at.played[:-1]))
        if before is None:
            before = self._follow(at.setup, at.played[:-1])
        return Position(at.setup, at.played[:-1], at.marks[:-1], before)

    def _ask(self, at: Position, words: str) -> Frame:
        self._bring_to(at.setup, at.played)
        assert self._game is not None, "the line above has brought it"
        frame = self._game.play(words)
        if words in _ANSWERED or not frame.understood:
            return _unchanged(at.frame, frame.text)
        self._at = (at.setup, (*at.played, words))
        return frame

    def _follow(self, setup: Setup, played: tuple[str, ...]) -> Frame:
        """Return the frame after commands that were carried out before, playing them."""
        if played:
            self._bring_to(setup, played[:-1])
            assert self._game is not None, "the line above has brought it"
            frame = self._game.play(played[-1])
        else:
            frame = self._own_game().start(setup)
        self._at = (setup, played)
        return frame

    def _bring_to(self, setup: Setup, played: tuple[str, ...]) -> None:
        """Bring the engine to where commands lead; what it has done of them already is not done again."""
        game = self._own_game()
        done: tuple[str, ...] = ()
        if self._at is not None and self._at[0] == setup and played[: len(self._at[1])] == self._at[1]:
            done = self._at[1]
        else:
            game.load(setup)
        self._at = None  # until it has arrived
        for command in played[len(done) :]:
            game.repeat(command)
        self._at = (setup, played)

    def _own_game(self) -> Game:
        """Return the game: a new one in a forked child, and where the Java machine has died."""
        if self._game is None or not self._game.is_here:
            self._game, self._at = Game(), None
        return self._game


def _unchanged(frame: Frame, text: str) -> Frame:
    return Frame(text, frame.points, frame.over, frame.commands, understood=False)


def _remember(where: Hashable, frame: Frame) -> None:
    if len(_frames) >= _REMEMBERED:
        _frames.clear()
    _frames[where] = frame


def forget_frames() -> None:
    """Forget what has been seen, so that the engine itself is asked again."""
    _frames.clear()


def _marks(at: Position, words: str, frame: Frame) -> tuple[str, ...]:
    """Return the marks after a command.

    Looking around, at the inventory and at the task takes no time in the engine and changes nothing; only its tasks
    about life stages count it as time spent in a room. Looking at things, into them and reading takes time and does
    nothing else: which thing it was matters where the engine gives points for it.
    """
    kind = at.setup.kind
    if frame.asks or at.frame.asks:
        return (*at.marks, words)
    if words in _FREE and not kind.startswith("identify-life-stages"):
        return at.marks
    counted = [
        beginning
        for beginning in _TIMED
        if not (beginning == "look at " and kind.startswith("inclined-plane"))
        and not (beginning == "read " and kind.startswith("chemistry-mix"))
    ]
    return (*at.marks, _TIME if words.startswith(tuple(counted)) else words)
