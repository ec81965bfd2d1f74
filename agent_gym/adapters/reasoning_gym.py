"""`AgentGym/ReasoningGym-v0`: any dataset of reasoning-gym as a `TextEnv`.

The library: https://github.com/open-thought/reasoning-gym; tested with versions 0.1.23 and 0.1.25. What is promised and
what is not: docs/adapters.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import gymnasium as gym

from agent_gym.adapters.answers import Answer
from agent_gym.adapters.foreign import (
    MISTAKES,
    MOST_TASKS,
    STRIDE,
    ForeignEnv,
    Move,
    check_mapping,
    cut,
    graded,
    known_name,
    library,
)
from agent_gym.adapters.local_random import LocalRandom
from agent_gym.core import Expert, with_known_settings
from agent_gym.errors import BadOptionError, UnsupportedGameError
from agent_gym.registration import REASONING_GYM
from agent_gym.vector import TextVectorEnv

_NO_ANSWER: Final = "I don't know."
_EMPTY: Final = "There is no answer in that: say what you take the answer to be."


class ReasoningGymEnv(ForeignEnv):
    """One question, one answer; see `make_reasoning_gym` for the settings.

    The reward is the score that the dataset gives the answer, 0 to 1, and ends the episode. An empty answer is refused.
    """

    def __init__(
        self,
        *,
        game: str,
        options: Mapping[str, Any] | None = None,
        split: str = "train",
        tasks: int = 1000,
        render_mode: str | None = None,
    ) -> None:
        """Take the settings; the dataset is made when the first episode starts."""
        super().__init__(game=game, split=split, tasks=tasks, invalid="refuse", render_mode=render_mode)
        self.options = check_mapping("options", options)
        for name in ("seed", "size"):
            if name in self.options:
                raise BadOptionError(f"the option {name!r} is set by the tasks: expected other options of the dataset.")
        self._per_split = len(self.tasks(split))
        self._datasets: dict[int, Any] = {}
        self._data: Any = None
        self._entry: dict[str, Any] = {}
        self._answered = False
        self._trial = LocalRandom(0)

    @property
    def instructions(self) -> str:
        """What is asked for."""
        return "Answer the question. Give the final answer alone, in the form that the question asks for."

    def make_expert(self) -> Expert:
        """Return a player who gives the answer that the dataset holds to be right."""
        answer = self._entry.get("answer")
        if answer is None:  # some datasets check an answer and know none
            return super().make_expert()
        return Answer(str(answer))

    def _open(self, seed: int) -> Move:
        # Entry n of a dataset is drawn from a generator seeded with the dataset's seed + n: those of splits lie apart.
        place, number = divmod(seed // STRIDE, MOST_TASKS)
        if place not in self._datasets:
            self._datasets[place] = _make(self.game, place * MOST_TASKS, self._per_split, self.options)
        self._data = self._datasets[place]
        try:
            self._entry = self._data[number]
        except MISTAKES as error:
            raise UnsupportedGameError(
                f"reasoning-gym can't make entry {number} of {self.game!r}: {type(error).__name__}: {error}"
            ) from error
        self._answered = False
        return Move(str(self._entry["question"]).strip())

    def _play(self, command: str) -> Move:
        answer = command.strip()
        if not answer:
            return Move(_EMPTY, valid=False)
        score = float(self._data.score_answer(answer, self._entry))
        self._answered = True
        return Move(
            f"Your answer scores {score:g}.", score, True, True, score >= 1.0, graded(score, success=score >= 1)
        )

    def _content(self) -> tuple[Any, frozenset[str]]:
        return self._answered, frozenset()

    def _suggest(self) -> tuple[str, ...]:
        return (next((answer for answer in (_NO_ANSWER, "0") if self._scores(answer)), _NO_ANSWER),)

    def _scores(self, answer: str) -> bool:
        """Whether the dataset gives an answer a score; some raise an error for what is no number."""
        try:
            with self._trial:
                self._data.score_answer(answer, self._entry)
        except MISTAKES:
            return False
        return True

    def _forms(self) -> tuple[str, ...]:
        return ("<your answer>",)


def _make(name: str, seed: int, size: int, options: Mapping[str, Any]) -> Any:
    known = sorted(library("reasoning_gym.factory", "reasoning-gym", "reasoning-gym").DATASETS)
    known_name("reasoning-gym dataset", name, known)
    gym_of_reasons = library("reasoning_gym", "reasoning-gym", "reasoning-gym")
    try:
        return gym_of_reasons.create_dataset(name, seed=seed, size=size, **options)
    except MISTAKES as error:
        raise BadOptionError(
            f"reasoning-gym can't make {name!r} with the options {dict(options)}: {type(error).__name__}: {error}"
        ) from error


@with_known_settings
def make_reasoning_gym(
    *,
    game: str = "chain_sum",
    options: Mapping[str, Any] | None = None,
    split: str = "train",
    tasks: int = 1000,
    steps: int = 4,
    render_mode: str | None = None,
) -> gym.Env[str, str]:
    """Make the environment with its limit on steps; the entry point of `AgentGym/ReasoningGym-v0`.

    Args:
        game: Name of a dataset, such as `"leg_counting"`.
        options: Its settings, such as `{"min_terms": 3}`.
        split: `train`, `valid` or `test`; each task is an entry of the dataset that no other split has.
        tasks: Tasks per split.
        steps: Limit on steps: an empty answer costs one, any other ends the episode.
        render_mode: `"ansi"` or `None`.

    Raises:
        BadOptionError: If a setting is not known or out of range. That there is no such dataset is said when the first
            episode starts.
    """
    env = ReasoningGymEnv(game=game, options=options, split=split, tasks=tasks, render_mode=render_mode)
    return cut(env, steps)


def reasoning_gym_vector_env(num_envs: int, **kwargs: Any) -> TextVectorEnv:
    """Create `num_envs` environments in this process; the vector entry point of `AgentGym/ReasoningGym-v0`."""
    return TextVectorEnv.of(REASONING_GYM, num_envs, **kwargs)
