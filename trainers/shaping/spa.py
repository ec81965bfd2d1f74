"""SPA: Stepwise Progress Attribution (Wang et al. 2025; arXiv 2505.20732).

A reward that comes at the end says that an episode was good, not which of its steps were. SPA learns an estimator whose
outputs add up to the final reward, over the policy's own successes and failures, and pays each step what the estimator
says it contributed, and a bonus if the environment carried it out at all:

    ĉ_t = h_φ(τ_≤t)                     sees the episode up to step t and nothing after
    L   = (Σ_t ĉ_t − R)²
    r̃_t = α·ĉ_t + β·g_t                g_t = 1 if the environment understood and accepted the action

The outputs never quite add up to R; `conserve` spreads the rest evenly, so that Σ_t ĉ_t = R and the episode is worth
what it was worth. That correction looks at the whole episode: only what is before it is causal.

It fails where outcomes have no variation (nothing can be regressed on), where what a step is worth depends on an order
that the features do not show, and early on, when the estimator knows few successes.

The paper reads ĉ_t off a language model at the last token of each answer; here it is a linear model on counts of
(state, action), refitted from a buffer in milliseconds, or a small network (see `spa_estimators`). The released code
differs from the paper: it overwrites the step rewards with one constant per episode (its reward minus the mean of the
others of the task), multiplies them by n − i − 1, so that the last step gets nothing, and pays the grounding bonus at
the last step always.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from trainers.credit.numerics import check_choice
from trainers.shaping.base import ShaperState, played_episodes, reshape
from trainers.shaping.linear import SparseRidge
from trainers.shaping.spa_estimators import Estimator, LinearEstimator, NetworkEstimator
from trainers.types import Episode, Group, Turn

Floats = NDArray[np.float64]
Kind = Literal["linear", "network"]
See = Literal["state_action", "action", "words"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spa:
    """Replaces the reward of each step by its estimated contribution and the grounding bonus."""

    contribution: float = 1.0
    """α, weight of ĉ_t [1 from memory]."""
    grounding: float = 0.5
    """β, paid for an action that was carried out, in units of the reward as it is here. The paper pays 0.5 where
    success is worth 1."""
    conserve: bool = True
    """Spread what the contributions lack to the episode's reward evenly over its steps."""
    see: See = "state_action"
    """What a step's contribution depends on: its state and action, its action alone, or the words of both."""
    history: int = 0
    """Actions before the step that its contribution depends on too, as one more feature for each length."""
    estimator: Kind = "linear"
    """linear: of counts, refitted exactly. network: also of what came before, and never exact; needs torch."""
    penalty: float = 0.1
    """λ of the linear one, weight of the squares of its weights against its squared errors, summed over the buffer."""
    buffer: int = 2048
    """Episodes, the last ones played, that the estimator is fitted to."""
    every: int = 1
    """Iterations between fits."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        if not (np.isfinite(self.contribution) and np.isfinite(self.grounding)):
            raise ValueError(f"expected finite weights, got {self.contribution} and {self.grounding}")
        if self.history < 0 or self.buffer < 1 or self.every < 1:
            raise ValueError(
                "expected a history of 0 or more, and a buffer and a number of iterations of 1 or more, got "
                f"{self.history}, {self.buffer} and {self.every}"
            )
        check_choice("see", self.see, get_args(See))
        check_choice("estimator", self.estimator, get_args(Kind))
        SparseRidge(self.penalty)

    def start(self) -> "SpaShaper":
        """Return a shaper that has seen no episode; until it has, it leaves rewards as they are."""
        return SpaShaper(self)


class SpaShaper:
    """The estimator and the episodes that it is fitted to."""

    def __init__(self, settings: Spa) -> None:
        self.settings = settings
        self.estimator: Estimator = (
            LinearEstimator(settings.penalty) if settings.estimator == "linear" else NetworkEstimator()
        )
        self._seen: deque[tuple[Any, float]] = deque(maxlen=settings.buffer)
        self._iterations = 0

    def __call__(self, group: Group, /) -> Group:
        """Return the group with redistributed rewards."""
        return reshape(group, self._redistributed) if self.estimator.fitted else group

    def contributions(self, episode: Episode) -> Floats:
        """ĉ_t before the correction, shape (turns,); each depends on the turns up to its own only."""
        return self.estimator.contributions(self._rows(episode))

    def _redistributed(self, episode: Episode) -> Floats:
        if not episode.turns:
            return episode.rewards
        contributions = self.contributions(episode)
        if self.settings.conserve:
            contributions = conserved(contributions, float(episode.rewards.sum()))
        grounded = np.array([turn.action_valid and turn.format_valid for turn in episode.turns], dtype=np.float64)
        return self.settings.contribution * contributions + self.settings.grounding * grounded

    def _rows(self, episode: Episode) -> list[dict[str, float]]:
        actions = [turn.action for turn in episode.turns]
        rows = []
        for t, turn in enumerate(episode.turns):
            row = _features(turn, self.settings.see)
            for length in range(1, min(self.settings.history, t) + 1):
                row[f"{length} before: {actions[t - length : t + 1]}"] = 1.0
            rows.append(row)
        return rows

    def fit(self, groups: Sequence[Group], /) -> Mapping[str, float]:
        """Remember the episodes, and refit if it is time to."""
        for episode in played_episodes(groups):
            self._seen.append((self.estimator.kept(self._rows(episode)), float(episode.rewards.sum())))
        self._iterations += 1
        if not self._seen or self._iterations % self.settings.every:
            return {}
        totals = np.array([total for _, total in self._seen])
        self.estimator.fit([kept for kept, _ in self._seen], totals)
        error = np.mean([(self.estimator.total(kept) - total) ** 2 for kept, total in self._seen])
        variance = float(totals.var())
        explained = 1.0 - float(error) / variance if variance > 0 else 0.0
        return {"explained": explained, "episodes": float(len(self._seen))}

    def state(self) -> ShaperState:
        """Return the estimator and the buffer."""
        estimator = self.estimator.state()
        values: dict[str, Any] = {
            "estimator": estimator.values,
            "seen": [kept for kept, _ in self._seen],
            "iterations": self._iterations,
        }
        totals = np.array([total for _, total in self._seen], dtype=np.float64)
        return ShaperState(arrays={**estimator.arrays, "totals": totals}, values=values)

    def load_state(self, state: ShaperState, /) -> None:
        """Go on from a checkpoint."""
        arrays = dict(state.arrays)
        totals = arrays.pop("totals").tolist()
        self.estimator.load_state(ShaperState(arrays=arrays, values=state.values["estimator"]))
        self._seen = deque(zip(state.values["seen"], totals, strict=True), maxlen=self.settings.buffer)
        self._iterations = state.values["iterations"]


def conserved(contributions: Floats, total: float) -> Floats:
    """ĉ_t + (R − Σ_k ĉ_k) / T: shape (turns,), adding up to R."""
    return contributions + (total - float(contributions.sum())) / len(contributions)


def _features(turn: Turn, see: See) -> dict[str, float]:
    if see == "action":
        return {turn.action: 1.0}
    if see == "state_action":
        return {f"{turn.state_key}\n{turn.action}": 1.0}
    words = Counter(f"sees {word}" for word in turn.observation.lower().split())
    words.update(f"does {word}" for word in turn.action.lower().split())
    return {word: float(count) for word, count in words.items()}
