"""Multiply rewards by a constant."""

import math
from dataclasses import dataclass, replace

from trainers.types import Group, Turn


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaleRewards:
    """r_t ← factor · r_t. Environments pay 1 for success; GiGPO's paper pays 10."""

    factor: float = 10.0

    def __post_init__(self) -> None:
        """Refuse a factor that is no finite number, with a ValueError."""
        if not math.isfinite(self.factor):
            raise ValueError(f"expected a finite factor on rewards, got {self.factor}")

    def __call__(self, group: Group, /) -> Group:
        """Return the group with its rewards multiplied."""
        return replace(
            group,
            episodes=tuple(
                replace(episode, turns=tuple(self._scaled(turn) for turn in episode.turns))
                for episode in group.episodes
            ),
        )

    def _scaled(self, turn: Turn) -> Turn:
        tokens = turn.token_rewards and tuple(self.factor * reward for reward in turn.token_rewards)
        return replace(turn, reward=self.factor * turn.reward, token_rewards=tokens)
