"""Role-conditioned advantages, after RAE of SPIRAL (Liu et al., 2025; arXiv 2506.24119): a baseline for each role.

    A_i = R_i − mean of R over the other episodes of the batch in which the same role was played        decay none
    A_i = R_i − b,   then  b ← α·b + (1 − α)·R_i                b of the role, from episode to episode   decay α

In a zero-sum game the roles have different expected returns: in Kuhn poker −1/18 for the first player and 1/18 for the
second, both at their best. One baseline over all roles would be zero whoever learns, so the favoured role's episodes
would nearly all look good and the other's bad: the gradient pushes towards whatever each happened to do. A mean for
each role takes the role's advantage off, and stays right while both sides become stronger.

The paper keeps a moving average of each role's return, with α = 0.95: `decay`. An episode is compared with the average
before it was taken in, as in the released code, so the baseline does not depend on it. It starts at 0 and goes on from
iteration to iteration; a checkpoint keeps it. Episodes count in the order of the batch: with 48 of a role in an
iteration, hardly anything of the iteration before is left (0.95^48 = 0.09), and groups that lie next to each other
weigh on each other most. Without `decay` it is the mean over the batch without the episode itself: as unbiased, of the
weights in hand alone, and no order matters.

Either compares different tasks with each other, so luck of the cards stays in the advantage; a group's own mean
(`Rloo`) takes that off where groups are of one task and role. Roles of different games would need runs of their own.

Episodes that tell no role count as one role. Without `decay` a role with one episode in the batch says nothing: zero.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent_gym import keys
from trainers.credit.numerics import EQUAL, check_range, spread_over_turns, total_reward
from trainers.credit.tokens import TokenAdvantages, TokenBatch
from trainers.types import Episode


@dataclass(frozen=True, kw_only=True, slots=True)
class Rae:
    """One advantage per episode: its reward minus the mean of the batch's others in its role, or a moving average.

    Example:
        The first player's episodes earn 1 and −2, the second's −1 and 2: the advantages are 3, −3 and −3, 3.
    """

    decay: float | None = None
    """α of the moving average over episodes, 0.95 in the paper; none compares with the others of the batch."""

    def __post_init__(self) -> None:
        """Refuse a decay that means nothing, with a ValueError."""
        if self.decay is not None:
            check_range("decay", self.decay, 0, 1)

    def start(self) -> "MovingRae | Rae":
        """Return what a run assigns credit with: with a decay something that remembers."""
        return self if self.decay is None else MovingRae(self.decay)

    def assign(self, batch: TokenBatch, /) -> TokenAdvantages:
        """Return an advantage for every token; a moving average starts anew."""
        if self.decay is not None:
            return MovingRae(self.decay).assign(batch)
        totals: dict[str, list[float]] = defaultdict(list)
        for group in batch.groups:
            for episode in group.episodes:
                totals[_role(episode)].append(total_reward(episode))
        return _advantages(batch, lambda episode: _over_others(total_reward(episode), totals[_role(episode)]))


class MovingRae:
    """The estimator with a moving average for each role, which goes on from call to call."""

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.averages: dict[str, float] = {}

    def assign(self, batch: TokenBatch, /) -> TokenAdvantages:
        """Return an advantage for every token, and take the batch into the averages."""
        return _advantages(batch, self._over_average)

    def _over_average(self, episode: Episode) -> float:
        role, reward = _role(episode), total_reward(episode)
        before = self.averages.get(role, 0.0)
        self.averages[role] = self.decay * before + (1 - self.decay) * reward
        return reward - before

    def state(self) -> dict[str, Any]:
        """Return the averages by role, as JSON can hold them."""
        return dict(self.averages)

    def load_state(self, state: dict[str, Any], /) -> None:
        """Go on from a checkpoint."""
        self.averages = {role: float(average) for role, average in state.items()}


def _advantages(batch: TokenBatch, of_episode: Callable[[Episode], float]) -> TokenAdvantages:
    per_turn = [
        spread_over_turns(np.array([of_episode(one) for one in group.episodes], dtype=np.float64), group)
        for group in batch.groups
    ]
    return TokenAdvantages(advantages_n=batch.spread(per_turn))


def _over_others(reward: float, role: list[float]) -> float:
    if len(role) < 2:
        return 0.0
    advantage = reward - (sum(role) - reward) / (len(role) - 1)
    return 0.0 if abs(advantage) <= EQUAL * max(1.0, abs(reward)) else advantage


def _role(episode: Episode) -> str:
    return str(episode.turns[0].info.get(keys.ROLE, "")) if episode.turns else ""
