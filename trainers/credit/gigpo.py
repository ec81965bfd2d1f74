"""GiGPO: Group-in-Group Policy Optimization (Feng et al., NeurIPS 2025; arXiv 2505.10978).

GRPO tells good episodes from bad ones; GiGPO also tells good actions from bad ones, without a critic and without extra
rollouts. Episodes of one task pass through the same states again and again. All turns of the group that were taken in
the same state (the *anchor state*) form a group of their own, and what followed each of them is compared:

    A^E_i   = (R_i − mean(R)) / F(R)                        episodes of the group                      (eq. 3)
    R_t     = Σ_{k≥t} γ^{k−t} r_k                           return of a turn                           (eq. 5)
    G^S(s̃)  = { (a_t, R_t) : s_t = s̃ }                      across episodes and repeated visits        (eq. 6)
    A^S_t   = (R_t − mean(G^S(s_t))) / F(G^S(s_t))          turns that share a state                   (eq. 7)
    A_t     = A^E_i + ω · A^S_t                                                                        (eq. 8)

with F the standard deviation (+ ε) or 1. γ < 1 is what makes A^S speak in a group where every episode succeeds: the
turn that was followed by the shorter way earns more.

It says nothing more than GRPO where no state is visited twice, so it stands and falls with the state key: a key that
contains a step count makes every state unique, the bare observation text confuses different states.
"""

import math
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from trainers.credit.anchors import anchor_states
from trainers.credit.base import CreditParts
from trainers.credit.numerics import (
    Singletons,
    Statistics,
    check_choice,
    episode_advantages,
    relative_to_pool,
    returns_to_go,
    split_by_episode,
    spread_over_turns,
)
from trainers.types import Group


@dataclass(frozen=True, kw_only=True, slots=True)
class Gigpo:
    """Episode advantage plus `step_weight` times step advantage. The defaults are the paper's."""

    gamma: float = 0.95
    """γ, discount of the step returns; the episode part is not discounted."""
    step_weight: float = 1.0
    """ω, weight of the step part; with 0 this is `Grpo`."""
    normalise: bool = True
    """F of both parts: the standard deviation (ddof 1), or 1."""
    statistics: Statistics = "episodes"
    """Of the episode part: over episodes (the paper), or over turns, each total counted once per turn (verl-agent)."""
    singletons: Singletons = "zero"
    """Episode part of a group of one: zero, or its plain return (as verl-agent does). A turn alone in its state has
    step advantage zero in either case."""
    similarity: float | None = None
    """Turns share a state when their observations are this alike, 0 to 1 (0.9 to 0.95 is usual), for environments that
    describe one state in many ways; none compares state keys exactly."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        if not 0.0 <= self.gamma <= 1.0:
            raise ValueError(f"expected a gamma between 0 and 1, got {self.gamma}")
        if not math.isfinite(self.step_weight):
            raise ValueError(f"expected a finite step_weight, got {self.step_weight}")
        if self.similarity is not None and not 0.0 < self.similarity <= 1.0:
            raise ValueError(f"expected a similarity above 0 and up to 1, or none, got {self.similarity}")
        check_choice("statistics", self.statistics, get_args(Statistics))
        check_choice("singletons", self.singletons, get_args(Singletons))

    @property
    def smallest_group(self) -> int:
        """Episodes a group must have to teach anything, beside one that comes back to where it was."""
        return 2 if self.singletons == "zero" else 1

    def __call__(self, group: Group, /) -> list[NDArray[np.float64]]:
        """Return one array per episode, of shape (turns,)."""
        parts = self.parts(group)
        return [a_episode + a_step for a_episode, a_step in zip(parts.episode, parts.step, strict=True)]

    def parts(self, group: Group, /) -> CreditParts:
        """The episode part A^E, and the step part ω·A^S."""
        anchors = anchor_states(group, self.similarity)
        a_episode = episode_advantages(
            group, normalise=self.normalise, statistics=self.statistics, singletons=self.singletons
        )
        a_step = self.step_weight * self._step_advantages(group, anchors)
        return CreditParts(
            episode=spread_over_turns(a_episode, group), step=split_by_episode(a_step, group), anchors=anchors
        )

    def step_advantages(self, group: Group) -> list[NDArray[np.float64]]:
        """The step part A^S alone, unweighted; over a whole group it sums to zero."""
        return split_by_episode(self._step_advantages(group, anchor_states(group, self.similarity)), group)

    def _step_advantages(self, group: Group, anchors: NDArray[np.intp]) -> NDArray[np.float64]:
        returns = [np.zeros(0), *(returns_to_go(episode.rewards, self.gamma) for episode in group.episodes)]
        return relative_to_pool(np.concatenate(returns), anchors, normalise=self.normalise)
