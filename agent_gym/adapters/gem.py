"""`AgentGym/GEM-v0`: any environment of GEM as a `TextEnv`.

The library: https://github.com/axon-rl/gem; tested with gem-llm 0.1.0. What is promised and what is not:
docs/adapters.md.
"""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import gymnasium as gym

from agent_gym.adapters.answers import Answer
from agent_gym.adapters.foreign import (
    MISTAKES,
    STRIDE,
    Move,
    RuledEnv,
    check_mapping,
    cut,
    drop_attributes,
    graded,
    known_name,
    library,
    reason_of,
)
from agent_gym.adapters.numbers import Bisection
from agent_gym.core import Expert, with_known_settings
from agent_gym.envs.diagnostic import SPLITS
from agent_gym.errors import BadOptionError, UnsupportedGameError, did_you_mean
from agent_gym.registration import GEM
from agent_gym.vector import TextVectorEnv

_SUGGESTIONS: Final = 8
_PACKAGE: Final = "gem-llm, which can be installed up to Python 3.12.0 only"
_BRACKETED: Final = re.compile(r"\{\[(.*)\]\}")
"""Of crosswords and word searches GEM samples actions in brackets, which it does not take itself."""
_CANDIDATES: Final[dict[str, Callable[[Any], Iterable[list[str]]]]] = {
    "FifteenPuzzleEnv": lambda game: [["down", "left", "right", "up"]],
    "SudokuEnv": lambda game: [
        [f"{row} {column} {digit}" for digit in range(1, game.scale + 1)]
        for row, line in enumerate(game.board, start=1)
        for column, filled in enumerate(line, start=1)
        if not filled
    ],
    "TowerofHanoiEnv": lambda game: [[f"{a} {b}" for a in "ABC" for b in "ABC" if a != b]],
}
"""For games from which GEM samples nothing that they take: moves in groups. Of the first group in which some change the
board those are listed: all moves there are, in Sudoku the digits that may stand in one cell."""
_NO_ANSWER: Final = "\\boxed{I don't know}"
_SINGLE: Final = "Answer the question. Put your final answer within \\boxed{}."


class GemEnv(RuledEnv):
    """An environment of GEM; see `make_gem` for the settings.

    Rewards are GEM's, at each step. A game is solved when GEM congratulates, a question when the reward is 1. GEM's own
    limit on turns ends an episode like any other end, since it comes with a reward of its own.
    """

    how = "Put each move or answer within \\boxed{}."
    # Data that does not change, and where in it the next question lies.
    held = frozenset({"dataset", "ds", "ds_iter", "idx", "epoch", "mp_pool", "env_id", "entry_point"})
    turns = frozenset({"turn_count"})

    def __init__(
        self,
        *,
        game: str,
        options: Mapping[str, Any] | None = None,
        split: str = "train",
        tasks: int = 1000,
        invalid: str = "refuse",
        key_turns: bool = True,
        render_mode: str | None = None,
    ) -> None:
        """Take the settings; the game is made when the first episode starts."""
        super().__init__(
            game=game, split=split, tasks=tasks, invalid=invalid, key_turns=key_turns, render_mode=render_mode
        )
        self.options = check_mapping("options", options)
        self._total = 0.0

    def make_expert(self) -> Expert:
        """Return a fresh expert: for guessing numbers, and for questions, whose answers are known.

        Raises:
            NoExpertError: For any other game.
        """
        env = self._env
        if env is not None and hasattr(env, "game_number"):
            return Bisection(env.min_number, env.max_number, "\\boxed{{{}}}")
        if env is not None and hasattr(env, "data") and env.data["answer"] is not None:
            return Answer(f"\\boxed{{{env.data['answer']}}}")
        if env is not None and isinstance(getattr(env, "answer", None), str):
            form = "\\boxed{{{}}}" if hasattr(env, "use_mp") or env.extractor.__name__.endswith("boxed_answer") else ""
            return Answer((form or "<answer>{}</answer>").format(env.answer))
        return super().make_expert()

    def _open(self, seed: int) -> Move:
        text, info = self._reset_gem(seed)
        self._total = 0.0
        suffix = str(info.get("suffix", ""))
        if not suffix and not hasattr(self._env, "max_turns"):  # a question, not a game with rules
            self._rules = _SINGLE
            return Move(text.strip())
        self._rules = text.strip()
        return Move(suffix or "The game begins.")

    def _reset_gem(self, seed: int) -> tuple[str, dict[str, Any]]:
        """Start an episode of GEM's: a game from the seed, a question by its number."""
        questions = self.game.startswith("rg:")
        if self._env is None or questions:  # a generated question is the first of a data set made from its seed
            self._env = _make(self.game, {**self.options, "seed": seed, "size": 1} if questions else self.options)
            self._remember(self._env)
        drop_attributes(self._env, self._made)
        rows = hasattr(self._env, "dataset")
        if rows:
            self._env.idx = self._index(seed)
        try:
            text, info = self._env.reset(seed=None if questions or rows else seed)
        except MISTAKES as error:
            raise UnsupportedGameError(f"GEM can't start {self.game!r} here: {reason_of(error)}") from error
        return str(text), dict(info)

    def _index(self, seed: int) -> int:
        """Share out the rows of a data set: each split has every third."""
        split, number = divmod(seed // STRIDE, 1_000_000)
        row, rows = number * len(SPLITS) + split, len(self._env.dataset)
        if row >= rows:
            raise BadOptionError(f"{self.game!r} has {rows} rows, which is enough for tasks={rows // len(SPLITS)}.")
        return row

    def _play(self, command: str) -> Move:
        before = self._total
        text, reward, terminated, truncated, info = self._env.step(command)
        ended, gained = bool(terminated or truncated), float(reward)
        said, suffix = str(text).strip(), str(info.get("suffix", ""))
        single = self._rules == _SINGLE
        if single:
            said = f"Your answer scores {gained:g}."
        valid = bool(command.strip()) if single else not (ended and gained < 0.0)  # −0.1 is for a wrong form alone
        if valid or self.invalid == "library":
            self._total = before + gained
        success = ended and (gained >= 1.0 if single else "Congratulations" in said)
        shown = "\n".join(part for part in (said, suffix) if part)
        return Move(shown, gained, ended, valid, success, graded(self._total, success=success))

    def _content(self) -> tuple[Any, frozenset[str]]:
        return [vars(self._env), f"{self._total:.9f}"], self._leave_out

    def _suggest(self) -> tuple[str, ...]:
        candidates = _CANDIDATES.get(type(self._env).__name__)
        if candidates is not None:
            copied = pickle.dumps(self._env)
            groups = [[f"\\boxed{{{move}}}" for move in group] for group in candidates(self._env)]
            found = (tuple(move for move in group if self._changes_board(copied, move)) for group in groups)
            return next(filter(None, found), tuple(groups[0]))
        self._trial.seed(int(self._digest[:8], 16))
        with self._trial:
            try:
                sampled = [str(self._env.sample_random_action()) for _ in range(_SUGGESTIONS)]
            except NotImplementedError:
                return tuple(re.findall(r"\\boxed\{[^{}\n]+\}", self._rules)) or (self._no_answer(),)
        return tuple(_BRACKETED.sub(r"{\1}", sample) for sample in sampled)

    def _no_answer(self) -> str:
        """Return what says nothing, or a number where a generated question takes nothing else; asking does no harm."""
        if self.game.startswith("rg:"):
            try:
                self._env.step(_NO_ANSWER)
            except MISTAKES:
                return "\\boxed{0}"
        return _NO_ANSWER

    def _changes_board(self, copied: bytes, command: str) -> bool:
        """Try a command on a copy of the game."""
        game = pickle.loads(copied)
        with self._trial:
            game.step(command)
        return bool(game.board != self._env.board)

    def _forms(self) -> tuple[str, ...]:
        return ("\\boxed{<your answer>}",)


def _make(game: str, options: Mapping[str, Any]) -> Any:
    gem = library("gem", _PACKAGE, "gem")
    library("gem.envs", _PACKAGE, "gem")
    known_name("GEM environment", game, sorted(library("gem.envs.registration", _PACKAGE, "gem").ENV_REGISTRY))
    try:
        env = gem.make(game, **options)
    except MISTAKES as error:
        raise UnsupportedGameError(f"GEM can't make {game!r} here: {reason_of(error)}") from error
    takes = inspect.signature(type(env)).parameters
    for name in options.keys() - takes.keys() if "_" in takes else ():  # there GEM drops what it does not know
        known = [one for one in takes if one != "_"]
        raise BadOptionError(f"{game!r} has no option {name!r}: expected some of {known}.{did_you_mean(name, known)}")
    return env


@with_known_settings
def make_gem(
    *,
    game: str = "game:GuessTheNumber-v0-easy",
    options: Mapping[str, Any] | None = None,
    split: str = "train",
    tasks: int = 1000,
    steps: int = 200,
    invalid: str = "refuse",
    key_turns: bool = True,
    render_mode: str | None = None,
) -> gym.Env[str, str]:
    """Make the environment with its limit on steps; the entry point of `AgentGym/GEM-v0`.

    Args:
        game: GEM's id, such as `"game:Sokoban-v0-easy"` or `"rg:leg_counting"`.
        options: Further settings that `gem.make` takes for it.
        split: `train`, `valid` or `test`; each task is a seed, or a row of a data set, that no other split has.
        tasks: Tasks per split.
        steps: Limit on steps, refused commands included.
        invalid: `"refuse"`: an answer in a wrong form costs a step and changes nothing. `"library"`: GEM's own rule,
            by which it ends the game with −0.1.
        key_turns: Whether the state key counts the turns; see `make_text_arena`. GEM's texts name the turn.
        render_mode: `"ansi"` or `None`.

    Raises:
        BadOptionError: If a setting is not known or out of range. That there is no such game is said when the first
            episode starts.
    """
    env = GemEnv(
        game=game,
        options=options,
        split=split,
        tasks=tasks,
        invalid=invalid,
        key_turns=key_turns,
        render_mode=render_mode,
    )
    return cut(env, steps)


def gem_vector_env(num_envs: int, **kwargs: Any) -> TextVectorEnv:
    """Create `num_envs` environments in this process; the vector entry point of `AgentGym/GEM-v0`."""
    return TextVectorEnv.of(GEM, num_envs, **kwargs)
