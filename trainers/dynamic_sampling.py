"""Dynamic sampling: play on until there are enough groups that say something (DAPO, Yu et al. 2025; arXiv 2503.14476).

A group whose returns are all equal has zero advantages under a group method. As a policy gets better (or where it is
hopeless) more and more groups are like that, and the batch that is learned from shrinks without anybody asking for it.
DAPO drops such groups and plays others in their place.

It costs episodes: at a share p of useful groups about 1/p times as many are played, and tasks that are always solved
are played and thrown away. It is of no use to a method that learns from equal returns (GiGPO with γ < 1 does, from
lengths), and it biases what is learned from towards tasks of middling difficulty.

As in verl-agent there is a cap, at which everything is kept. Unlike DAPO, which plays whole batches and keeps the first
groups that it needs, only as many groups are played as are still missing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from trainers.credit.numerics import EQUAL
from trainers.types import Group


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampled:
    """What was played until it was enough."""

    groups: list[Group]
    """Exactly as many as were wanted; those from the last try may be constant."""
    tries: int
    """How often groups were played, 1 or more."""
    played: int
    """Groups that were played."""
    dropped: list[Group]
    """Groups that were played and are not learned from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DynamicSampling:
    """Drops groups whose returns are all equal, and plays others."""

    max_tries: int = 10
    """Times that groups are played; what the last one gives is kept whatever it is. verl-agent's value."""

    def __post_init__(self) -> None:
        """Refuse a cap that nothing could be played under, with a ValueError."""
        if self.max_tries < 1:
            raise ValueError(f"expected max_tries of 1 or more, got {self.max_tries}")

    def collect(self, play: Callable[[int, int], list[Group]], wanted: int) -> Sampled:
        """Play groups until `wanted` of them are of use.

        Args:
            play: Called with the number of groups played before and how many to play now; returns that many. The first
                number is what streams of random numbers and the order of tasks go on from.
            wanted: Groups to learn from, 1 or more.
        """
        kept: list[Group] = []
        dropped: list[Group] = []
        played = 0
        for tries in range(1, self.max_tries + 1):
            groups = play(played, wanted - len(kept))
            played += len(groups)
            last = tries == self.max_tries
            for group in groups:
                (kept if last or not is_constant(group) else dropped).append(group)
            if len(kept) >= wanted:
                break
        return Sampled(groups=kept, tries=tries, played=played, dropped=dropped)


def is_constant(group: Group) -> bool:
    """Whether the total rewards of a group's episodes are all equal, failed ones aside: nothing to compare."""
    totals = [float(episode.rewards.sum()) for episode in group.episodes if episode.status != "failed"]
    if len(totals) < 2:
        return True
    low, high = min(totals), max(totals)
    return high - low <= EQUAL * max(1.0, abs(low), abs(high))


def useful_share(groups: Sequence[Group]) -> float:
    """Share of groups that are not constant; 0 if there are none."""
    return float(np.mean([not is_constant(group) for group in groups])) if groups else 0.0
