"""From a group as it was played to a group with advantages: shapers, then the estimator, on episodes that count."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trainers.credit import CreditEstimator, Gigpo
from trainers.credit.anchors import anchor_states
from trainers.types import Group

Floats = NDArray[np.float64]
Shaper = Callable[[Group], Group]


@dataclass(frozen=True, kw_only=True, slots=True)
class Credited:
    """What a group teaches. All lists have one entry per episode of `group`, arrays of the shape (turns,)."""

    played: Group
    """The group as it was played, failed episodes and unshaped rewards included."""
    group: Group
    """What credit was assigned in: shaped rewards, without the episodes that failed."""
    members: tuple[int, ...]
    """Where each episode of `group` stands in `played`."""
    anchors: NDArray[np.intp]
    """Number of the state that each turn was taken in, over all turns of `group`: shape (turns of the group,)."""
    advantages: list[Floats]
    episode_part: list[Floats]
    """What comes from comparing episodes; with `step_part` it adds up to `advantages`."""
    step_part: list[Floats]
    """What comes from comparing turns in the same state; zero for an estimator that does not."""

    @property
    def silent(self) -> bool:
        """Whether every advantage is zero, so that nothing is learnt."""
        return not any(np.any(one) for one in self.advantages)


def assign_credit(credit: CreditEstimator, played: Group, shapers: Sequence[Shaper] = ()) -> Credited:
    """Shape a group's rewards and assign credit in it.

    An episode that failed says nothing about the policy, since the error was the environment's: it neither gets credit
    nor counts in the group's statistics. One that was cut off by a limit does both.
    """
    members = tuple(number for number, episode in enumerate(played.episodes) if episode.status != "failed")
    group = replace(played, episodes=tuple(played.episodes[number] for number in members))
    for shaper in shapers:
        group = shaper(group)
    advantages = credit(group)
    if isinstance(credit, Gigpo):
        step_part = [credit.step_weight * part for part in credit.step_advantages(group)]
    else:
        step_part = [np.zeros_like(one) for one in advantages]
    return Credited(
        played=played,
        group=group,
        members=members,
        anchors=anchor_states(group, credit.similarity if isinstance(credit, Gigpo) else None),
        advantages=advantages,
        episode_part=[whole - step for whole, step in zip(advantages, step_part, strict=True)],
        step_part=step_part,
    )
