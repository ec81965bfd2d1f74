"""IRCoCo: a reward for every token, from an estimate of how it will end (Li et al., FSE 2024; arXiv 2401.16637).

A completion is judged when it is whole. IRCoCo trains an evaluator QC to tell from a prefix how good the whole will be,
and pays each token the change that it makes:

    r_j = QC(x, y_≤j) − QC(x, y_<j)         Σ_j r_j = QC(x, y) − QC(x)

It telescopes, so that rambling pays nothing: what is left is the verdict on the whole, less what was expected. (As a
potential it would have to be 0 at the end. It is not: QC's verdict is paid, and its errors with it.) The end-of-answer
token gets 0, since it adds nothing to what is evaluated. The released code pays QC(x, y_≤j) itself and copies the last
reward to that token; the difference stands there as a comment. The absolute form pays for length, so it is not offered
here.

The paper's evaluator is a small GPT-2 that predicts the similarity of the greedy continuation to the reference. Here it
is a linear model of the last tokens before a position and of the state, fitted to the scores of the episodes played, so
it needs no reference; any other can be put in its place. It fails where the score can't be told from so little, and as
long as all scores are alike it pays nothing.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from trainers.credit.numerics import check_choice
from trainers.shaping.base import ShaperState, played_episodes
from trainers.shaping.linear import SparseRidge
from trainers.types import Episode, Group, Turn

Floats = NDArray[np.float64]
Outcome = Literal["add", "replace"]


class Evaluator(Protocol):
    """Tells from a prefix how good the whole will be."""

    def qualities(self, task: str, turn: Turn, /) -> Floats:
        """Return QC before the answer and after each of its tokens, shape (tokens + 1,)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ircoco:
    """Adds to each token the change of the evaluator's estimate. Turns are rewarded with the sum over their tokens."""

    weight: float = 1.0
    """Factor on the differences, in units of the reward as it is here."""
    outcome: Outcome = "add"
    """add: to the reward as it is. replace: the differences are the reward, as in the paper."""
    tokens: int = 2
    """Last tokens of a prefix that the evaluator looks at, together and in each shorter length."""
    penalty: float = 1.0
    """Weight of the squares of the evaluator's weights against its squared errors, summed over the buffer."""
    buffer: int = 512
    """Episodes, the last ones played, that the evaluator is fitted to."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        if not np.isfinite(self.weight):
            raise ValueError(f"expected a finite weight, got {self.weight}")
        if self.tokens < 1 or self.buffer < 1:
            raise ValueError(f"expected tokens and a buffer of 1 or more, got {self.tokens} and {self.buffer}")
        check_choice("outcome", self.outcome, get_args(Outcome))
        SparseRidge(self.penalty)

    def start(self) -> "IrcocoShaper":
        """Return a shaper that has seen no episode; until it has, it leaves rewards as they are."""
        return IrcocoShaper(self)


class IrcocoShaper:
    """The evaluator and what it is fitted to.

    Args:
        settings: Weights and sizes.
        evaluator: In the place of the linear one, which is then not fitted.
    """

    def __init__(self, settings: Ircoco, evaluator: Evaluator | None = None) -> None:
        self.settings = settings
        self.evaluator = evaluator
        self._ridge = SparseRidge(settings.penalty)
        self._seen: deque[tuple[list[dict[str, float]], float]] = deque(maxlen=settings.buffer)

    def __call__(self, group: Group, /) -> Group:
        """Return the group with rewards of tokens."""
        if self.evaluator is None and not self._ridge.fitted:
            return group
        return replace(
            group,
            episodes=tuple(
                replace(episode, turns=tuple(self._rewarded(group.task, turn) for turn in episode.turns))
                for episode in group.episodes
            ),
        )

    def qualities(self, task: str, turn: Turn, /) -> Floats:
        """QC before the answer and after each token, shape (tokens + 1,); the end of the answer changes nothing."""
        if self.evaluator is not None:
            qualities = np.array(self.evaluator.qualities(task, turn), dtype=np.float64)
            if qualities.shape != (len(turn.completion.token_ids) + 1,):
                raise ValueError(
                    f"expected {len(turn.completion.token_ids) + 1} qualities from the evaluator, one before the "
                    f"answer and one after each token, got shape {qualities.shape}"
                )
        else:
            qualities = np.array([self._ridge.predict(row) for row in self._rows(turn)])
        if turn.completion.finish == "stop" and len(qualities) > 1:
            qualities[-1] = qualities[-2]
        return qualities

    def _rewarded(self, task: str, turn: Turn) -> Turn:
        rewards = self.settings.weight * np.diff(self.qualities(task, turn))
        if self.settings.outcome == "add":
            if not len(rewards):
                return turn
            rewards += turn.rewards_of_tokens
        return replace(turn, reward=float(rewards.sum()), token_rewards=tuple(rewards.tolist()))

    def _rows(self, turn: Turn) -> list[dict[str, float]]:
        """Features of each prefix of an answer: the state, and the last tokens in it."""
        ids = turn.completion.token_ids
        rows = []
        for end in range(len(ids) + 1):
            row = {"": 1.0, f"state {turn.state_key}": 1.0}
            for length in range(1, min(self.settings.tokens, end) + 1):
                row[" ".join(map(str, ids[end - length : end]))] = 1.0
            rows.append(row)
        return rows

    def fit(self, groups: Sequence[Group], /) -> Mapping[str, float]:
        """Remember the episodes, and fit the evaluator to their scores: each prefix to the score of its episode."""
        if self.evaluator is not None:
            return {}
        for episode in played_episodes(groups):
            rows = [row for turn in episode.turns for row in self._rows(turn)[: _looked_at(turn)]]
            self._seen.append((rows, _score(episode)))
        if not self._seen:
            return {}
        rows = [row for rows, _ in self._seen for row in rows]
        scores = np.array([score for rows, score in self._seen for _ in rows])
        error = self._ridge.fit(rows, scores)
        variance = float(scores.var())
        return {"explained": 1.0 - error / variance if variance > 0 else 0.0, "episodes": float(len(self._seen))}

    def state(self) -> ShaperState:
        """Return the evaluator and the buffer."""
        ridge = self._ridge.state()
        values: dict[str, Any] = {"names": ridge.values["names"], "seen": [list(one) for one in self._seen]}
        return ShaperState(arrays=ridge.arrays, values=values)

    def load_state(self, state: ShaperState, /) -> None:
        """Go on from a checkpoint."""
        self._ridge.load_state(state)
        self._seen = deque(((rows, score) for rows, score in state.values["seen"]), maxlen=self.settings.buffer)


def _looked_at(turn: Turn) -> int:
    """Prefixes of an answer that are evaluated: all but the one with the end of the answer."""
    return len(turn.completion.token_ids) + (turn.completion.finish != "stop")


def _score(episode: Episode) -> float:
    return max(episode.score, float(episode.success))
