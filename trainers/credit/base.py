"""What an estimator is: two protocols, and an optional one for those whose advantages are a sum of two parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from trainers.credit.anchors import anchor_states
from trainers.credit.numerics import Floats
from trainers.credit.tokens import TokenAdvantages, TokenBatch
from trainers.types import Group


class CreditEstimator(Protocol):
    """Anything that turns a group of episodes into one advantage per turn."""

    def __call__(self, group: Group, /) -> list[Floats]:
        """Return one array per episode, in the group's order, of shape (turns of that episode,)."""


@runtime_checkable
class TokenCredit(Protocol):
    """Anything that turns all groups of a batch at once into one advantage per token.

    For what a group alone cannot give: statistics over the batch, a reward or a value at each token, targets for a
    critic.
    """

    def assign(self, batch: TokenBatch, /) -> TokenAdvantages:
        """Return an advantage for every action token of the batch.

        Raises:
            ValueError: If the batch lacks what the estimator needs, such as a critic's values.
        """


@runtime_checkable
class RememberingCredit(TokenCredit, Protocol):
    """An estimator that goes on from what earlier batches were; `start()` of its settings makes it."""

    def state(self) -> dict[str, Any]:
        """Return what it remembers, as JSON can hold it."""

    def load_state(self, state: dict[str, Any], /) -> None:
        """Go on from a checkpoint."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CreditParts:
    """Advantages as a sum of two, one array of shape (turns,) per episode; for logs and reports."""

    episode: Sequence[Floats]
    """What comes from comparing whole episodes."""
    step: Sequence[Floats]
    """What comes from comparing turns."""
    anchors: NDArray[np.intp]
    """Number of the state that each turn was compared in, over all turns of the group."""


@runtime_checkable
class PartedCredit(Protocol):
    """An estimator that can say which part of an advantage comes from where."""

    def parts(self, group: Group, /) -> CreditParts:
        """Return what adds up to the advantages."""


def credit_parts(credit: CreditEstimator, group: Group) -> CreditParts:
    """The parts of any estimator's advantages: of one that does not tell them, all of it is the episode's."""
    if isinstance(credit, PartedCredit):
        return credit.parts(group)
    advantages = credit(group)
    return CreditParts(
        episode=advantages, step=[np.zeros_like(one) for one in advantages], anchors=anchor_states(group)
    )


def smallest_group(credit: object) -> int:
    """Episodes a group must have for an estimator to say anything: its own word (`smallest_group`), or 1."""
    return int(getattr(credit, "smallest_group", 1))
