"""HGPO: Hierarchy-of-Groups Policy Optimization (ICLR 2026, as released in the recipe of verl-agent).

GiGPO compares turns that were taken in the same state, though the policy saw more than that state: its prompt holds
the last few. HGPO compares a turn within several groups, from those that share its state to those that share all of
its last k states, and trusts the closer ones more:

    R_t   = Σ_{k≥t} γ^{k−t} r_k
    a_k   = R_t relative to the turns whose last k states are the same        k = 1 … K + 1, k ≤ t + 1
    w_k   = (k + 1)^α
    A_t   = Σ_k w_k·a_k / Σ_k w_k                                             over the k with a_k ≠ 0

relative as in GiGPO, but with the standard deviation of a population (ddof 0) or undivided. a_0, the episode advantage
of `Grpo` with weight 1, is one of the terms if `episode_group` is set. A term that is zero is left out before the
weights are normalised: a turn alone in its context says nothing, and must not dilute what the wider groups say. If
none is left the advantage is zero.

Deviations from the release: it adds 1e-6 to the sum of weights, which only guards a division that cannot happen here;
and "zero" is within 1e-9·max(1, max|R|) of the mean, since a floating-point mean of equal numbers may miss them by a
bit. It fails as GiGPO does where states do not come back; where histories rarely coincide it is GiGPO's step part.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from trainers.credit.anchors import anchor_states
from trainers.credit.base import CreditParts
from trainers.credit.numerics import (
    EQUAL,
    Floats,
    Singletons,
    Statistics,
    check_choice,
    check_range,
    episode_advantages,
    relative_to_pool,
    returns_to_go,
    split_by_episode,
    spread_over_turns,
)
from trainers.types import Group


@dataclass(frozen=True, kw_only=True, slots=True)
class Hgpo:
    """A weighted mean of step advantages in groups that share ever more of the turn's history."""

    gamma: float = 0.95
    """γ, discount of the step returns."""
    history: int = 2
    """K, earlier states that the policy sees beside the present one; 2 or 4 in the release."""
    alpha: float = 1.0
    """α of the weights (k + 1)^α; 0 weighs all groups alike."""
    normalise: bool = True
    """Divide by each group's standard deviation (ddof 0)."""
    episode_group: bool = False
    """Take the episode advantage in as a group of its own, that shares nothing but the task."""
    statistics: Statistics = "episodes"
    """Of the episode advantage: over episodes, or over turns (verl-agent)."""
    singletons: Singletons = "zero"
    """Episode advantage of a group of one: zero, or its plain return."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        check_range("gamma", self.gamma, 0, 1)
        check_range("history", self.history, 0)
        if not math.isfinite(self.alpha):
            raise ValueError(f"expected a finite alpha, got {self.alpha}")
        check_choice("statistics", self.statistics, get_args(Statistics))
        check_choice("singletons", self.singletons, get_args(Singletons))

    def __call__(self, group: Group, /) -> list[Floats]:
        """Return one array per episode, of shape (turns,)."""
        parts = self.parts(group)
        return [episode + step for episode, step in zip(parts.episode, parts.step, strict=True)]

    def parts(self, group: Group, /) -> CreditParts:
        """The share of the episode advantage, and that of the groups of turns."""
        anchors = anchor_states(group)
        returns = np.concatenate([np.zeros(0), *(returns_to_go(one.rewards, self.gamma) for one in group.episodes)])
        total, weights = np.zeros_like(returns), np.zeros_like(returns)
        for length, clusters in enumerate(_same_history(anchors, group, self.history + 1), start=1):
            there = np.flatnonzero(clusters >= 0)
            a_k, speaks = self._relative(returns[there], clusters[there])
            total[there] += (length + 1.0) ** self.alpha * a_k
            weights[there] += (length + 1.0) ** self.alpha * speaks
        episode = np.zeros_like(returns)
        if self.episode_group:
            a_0 = episode_advantages(
                group, normalise=self.normalise, statistics=self.statistics, singletons=self.singletons
            )
            episode = np.concatenate([np.zeros(0), *spread_over_turns(a_0, group)])
            weights += episode != 0
        weights = np.where(weights > 0, weights, 1.0)
        return CreditParts(
            episode=split_by_episode(episode / weights, group),
            step=split_by_episode(total / weights, group),
            anchors=anchors,
        )

    def _relative(self, returns: Floats, clusters: NDArray[np.intp]) -> tuple[Floats, NDArray[np.bool_]]:
        """Advantages within clusters, and which of them say anything."""
        if not len(returns):
            return returns, np.zeros(0, dtype=np.bool_)
        centred = relative_to_pool(returns, clusters, normalise=False)
        largest = np.zeros(int(clusters.max()) + 1)
        np.maximum.at(largest, clusters, np.abs(returns))
        speaks = np.abs(centred) > EQUAL * np.maximum(1.0, largest[clusters])
        advantages = relative_to_pool(returns, clusters, normalise=True, ddof=0) if self.normalise else centred
        return np.where(speaks, advantages, 0.0), speaks


def _same_history(anchors: NDArray[np.intp], group: Group, longest: int) -> Iterator[NDArray[np.intp]]:
    """For k = 1 … `longest`: the number of each turn's last k states, -1 where there are fewer; shape (turns,)."""
    starts = np.zeros(len(anchors), dtype=np.bool_)
    lengths = [len(episode.turns) for episode in group.episodes]
    begins = np.cumsum([0, *lengths])[:-1]
    starts[begins[np.array(lengths, dtype=np.intp) > 0]] = True
    numbers = anchors
    yield numbers
    for _ in range(longest - 1):
        # The last k + 1 states are the last k of the turn before, and the state of this one.
        before = np.empty_like(numbers)
        before[1:] = numbers[:-1]
        before[starts] = -1
        _, codes = np.unique(before * (len(anchors) + 1) + anchors, return_inverse=True)
        numbers = np.where(before < 0, -1, codes)
        yield numbers
