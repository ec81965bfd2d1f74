"""What the adapters of foreign environments share: tasks from seeds, a random state of their own, replayed states.

An episode is what its task's seed and the commands taken so far make of it. So it is saved as its commands and restored
by playing them again, which is exact wherever the library draws from the global generators or from its own seed.
"""

from __future__ import annotations

import abc
import importlib
import logging
import tokenize
from collections.abc import Mapping
from types import ModuleType
from typing import Any, ClassVar, Final, NamedTuple

import gymnasium as gym

from agent_gym import keys
from agent_gym.adapters.canonical import canonical_text, digest_of
from agent_gym.adapters.local_random import LocalRandom
from agent_gym.core import Expert
from agent_gym.envs.diagnostic import SPLITS, SmallEnv, check_count, check_name, limited
from agent_gym.errors import BadOptionError, MissingExtraError, NoExpertError, StateError, did_you_mean

MISTAKES: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
)
"""What faulty code raises. A library's mistake is a refused command; being told to stop, or out of memory, is none."""

INVALID: Final = ("refuse", "library")
STRIDE = 1_000
"""Seeds of neighbouring tasks lie this far apart, since a library may try the next few when a start fails."""
MOST_TASKS = 1_000_000
_LONG: Final = 20_000
"""An attribute that is longer than this in characters when the game is made is a word list: it does not change."""


class Move(NamedTuple):
    """What a library made of a command, or of a start."""

    text: str
    reward: float = 0.0
    ended: bool = False
    valid: bool = True
    success: bool = False
    score: float = 0.0


class ForeignEnv(SmallEnv):
    """A game of another library.

    A subclass opens a game, plays commands and tells what the state consists of; all calls of the library are made from
    here, under a random state that belongs to this environment.

    Attributes:
        game: The library's name of the game.
        invalid: `"refuse"`: a command that the library does not accept costs a step and changes nothing. `"library"`:
            it is what the library makes of it, which may be the end of the game.
    """

    def __init__(self, *, game: str, split: str, tasks: int, invalid: str, render_mode: str | None) -> None:
        """Name the tasks; the library is loaded when the first episode starts."""
        count = check_count("tasks", tasks, 1, MOST_TASKS)
        if not isinstance(game, str) or not game:
            raise BadOptionError(f"the game must be named by a text, got {game!r}.")
        names = {name: [f"{name}/{number:05d}" for number in range(count)] for name in SPLITS}
        super().__init__(tasks=names, split=split, render_mode=render_mode)
        self.game = game
        self.invalid = check_name("invalid", invalid, INVALID)
        self.dice = LocalRandom(0)
        self._playing = ""
        self._commands: list[str] = []
        self._last = Move("")
        self._digest = ""
        self._known: dict[str, tuple[str, ...]] = {}

    # What an adapter provides -----------------------------------------------------------------------------------------

    @abc.abstractmethod
    def _open(self, seed: int) -> Move:
        """Start the library's game from a seed."""

    @abc.abstractmethod
    def _play(self, command: str) -> Move:
        """Hand a command to the library."""

    @abc.abstractmethod
    def _content(self) -> tuple[Any, frozenset[str]]:
        """Return what the state consists of, and names of what does not belong to it."""

    @abc.abstractmethod
    def _suggest(self) -> tuple[str, ...]:
        """Return commands to list as admissible, at least one."""

    @abc.abstractmethod
    def _forms(self) -> tuple[str, ...]:
        """Return how commands are worded that are not listed; nothing if all are."""

    def make_expert(self) -> Expert:
        """Return a fresh expert, for the games that have one.

        Raises:
            NoExpertError: If this game has none.
        """
        raise NoExpertError(f"there is no expert for {self.game!r}; record demonstrations from a model, or play.")

    # An episode -------------------------------------------------------------------------------------------------------

    def seed_of(self, task: str) -> int:
        """Return the seed that a task hands to the library; those of all splits differ.

        Raises:
            UnknownTaskError: If there is no such task.
        """
        self._check_task(task)
        split, _, number = task.partition("/")
        return (("train", "valid", "test").index(split) * MOST_TASKS + int(number)) * STRIDE

    def _start(self, task: str) -> tuple[str, dict[str, Any]]:
        self._begin(task)
        return self._last.text, self._info(valid=True)

    def _begin(self, task: str) -> None:
        seed = self.seed_of(task)
        self._playing = ""
        self.dice.seed(seed)
        with self.dice:
            self._last = self._open(seed)
        self._playing, self._commands = task, []
        self._look()

    def _act(self, command: str) -> tuple[str, float, bool, dict[str, Any]]:
        before, seen = self._digest, self._last
        move = self._hand_over(command)
        self._look()
        if move.valid or (self.invalid == "library" and not isinstance(move, _Failed)):
            self._commands.append(command)
            self._last = move
            return move.text, move.reward, move.ended, self._info(valid=move.valid)
        if self._digest != before or move.ended or isinstance(move, _Failed):
            played = tuple(self._commands)
            self._begin(self._playing)
            self._go_on(played, before)
        self._last = seen
        return move.text, 0.0, False, self._info(valid=False)

    def _hand_over(self, command: str) -> Move:
        try:
            with self.dice:
                return self._play(command)
        except MISTAKES as error:
            said = f"The game can't take this command: {type(error).__name__}: {str(error)[:200]}"
            return _Failed(said, valid=False)

    def _go_on(self, commands: tuple[str, ...], digest: str) -> None:
        """Play commands that were played before, and see that they lead where they led then."""
        for command in commands:
            self._last = self._hand_over(command)
            self._commands.append(command)
        self._look()
        if self._digest != digest:
            raise StateError(
                f"{self.game!r} did not come back to the state that was saved: expected the same seed and commands to "
                "lead there. Games that draw from generators of their own, or ask a server, can't be restored."
            )

    def _look(self) -> None:
        """Digest the state now reached."""
        content, leave_out = self._content()
        self._digest = digest_of(content, leave_out, self.dice.digest())

    def _info(self, *, valid: bool) -> dict[str, Any]:
        last = self._last
        commands = () if last.ended else self._known.get(self._digest)
        if commands is None:
            if len(self._known) > 10_000:
                self._known.clear()
            commands = self._known[self._digest] = tuple(sorted(set(self._suggest())))
        info = self._frame_info(
            self._playing, self._digest, commands, success=last.success, score=last.score, valid=valid
        )
        return info | {keys.COMMAND_FORMS: self._forms()}

    def _get_state(self) -> dict[str, Any]:
        return {"commands": tuple(self._commands), "digest": self._digest}

    def _set_state(self, state: dict[str, Any]) -> None:
        commands, played = state["commands"], len(self._commands)
        if commands[:played] != tuple(self._commands):
            self._begin(self._playing)
            played = 0
        self._go_on(commands[played:], state["digest"])


class RuledEnv(ForeignEnv):
    """A game that is one object of its library, tells its own rules, and counts its turns.

    Attributes:
        how: How a move is given, for who asks before the first task has told the rules.
        held: Names of the attributes that are no part of the state.
        turns: Names of those that count the turns.
    """

    how: ClassVar[str]
    held: ClassVar[frozenset[str]]
    turns: ClassVar[frozenset[str]]

    def __init__(self, *, key_turns: bool, **common: Any) -> None:
        """Take the settings; the game is made when the first episode starts."""
        super().__init__(**common)
        if not isinstance(key_turns, bool):
            raise BadOptionError(f"key_turns must be True or False, got {key_turns!r}.")
        self._leave_out = self.held if key_turns else self.held | self.turns
        self._env: Any = None
        self._made: frozenset[str] = frozenset()
        self._rules = ""
        self._trial = LocalRandom(0)

    @property
    def instructions(self) -> str:
        """The rules of the task being played, as the library words them."""
        return self._rules or f"You play {self.game}. {self.how}"

    def _remember(self, game: Any) -> None:
        """Note which attributes a fresh game has, and which of them do not change."""
        fresh = vars(game)
        self._made = frozenset(fresh)
        long = {name for name in self._made - self._leave_out if len(canonical_text(fresh[name])) > _LONG}
        self._leave_out |= long


class _Failed(Move):
    """A command in which the library raised an error."""


def graded(reward: float, *, success: bool) -> float:
    """Return a score from 0 to 1 that is 1 exactly for success."""
    return 1.0 if success else min(max(float(reward), 0.0), 1.0 - 1e-9)


def cut(env: ForeignEnv, steps: int) -> gym.Env[str, str]:
    """Cut episodes off after `steps`: refused commands do not count in a library's own limit."""
    return limited(env, check_count("steps", steps, 1, 100_000))


def drop_attributes(game: Any, made: frozenset[str]) -> None:
    """Take from a game what earlier episodes left behind: the attributes that it did not have when it was made."""
    for name in vars(game).keys() - made:
        delattr(game, name)


def library(module: str, package: str, extra: str) -> ModuleType:
    """Import a foreign library, whatever it does to the random state and the log of the process.

    Raises:
        MissingExtraError: If it is not installed.
    """
    root, dice = logging.getLogger(), LocalRandom(0)
    handlers, level = root.handlers[:], root.level
    try:
        with dice:
            return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise  # something else is missing, which is the library's own affair
        raise MissingExtraError(
            f"this environment needs the package {package}: pip install 'agent-gym[{extra}]'"
        ) from error
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def known_name(what: str, name: str, names: list[str]) -> None:
    """Refuse a name that a library does not know, with the nearest it does.

    Raises:
        BadOptionError: If `name` is not in `names`.
    """
    if name not in names:
        hint = did_you_mean(name, names)
        raise BadOptionError(f"there is no {what} {name!r} among the {len(names)} of the installed version.{hint}")


def reason_of(error: BaseException) -> str:
    """Return why a game can't be made or started, in one line."""
    if isinstance(error, LookupError) and "nltk" in str(error):
        return (
            "it needs word lists of NLTK, which are downloaded by "
            "`python -m nltk.downloader words averaged_perceptron_tagger_eng`."
        )
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def check_mapping(name: str, value: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return settings that are passed on to a library.

    Raises:
        BadOptionError: If they are not names with values.
    """
    if not isinstance(value, Mapping | None) or not all(isinstance(key, str) for key in value or {}):
        raise BadOptionError(f"{name} must be a mapping of names to values or None, got {value!r}.")
    return dict(value or {})
