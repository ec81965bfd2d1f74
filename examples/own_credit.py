"""An estimator of one's own, and a shaper: two dataclasses that the command line finds by their import path.

    agent-gym train --env AgentGym/Rooms-v0 --model tabular credit:examples.own_credit:ReturnsToGo --credit.gamma 0.9
    agent-gym train --env AgentGym/Rooms-v0 --model tabular shaping:examples.own_credit:StepCost --shaping.own.cost 0.2

Nothing is registered anywhere. Fields are settings, with a default each: they can be set in a TOML file and on the
command line, are written to the run's config.toml, and are read back when the run is resumed.
"""

import sys
import tempfile
from dataclasses import dataclass, replace

import numpy as np

from trainers.cli import main
from trainers.credit.numerics import Floats, returns_to_go
from trainers.types import Group


@dataclass(frozen=True, kw_only=True, slots=True)
class ReturnsToGo:
    """What was earned from a turn on, against the mean over all turns of the group that had as many turns before them.

    The baseline is one number per time step, for environments without a state key. It fails where what a turn is worth
    depends on where one is rather than on when it is.
    """

    gamma: float = 0.95
    """Discount per turn."""

    smallest_group = 2  # a group of one has nothing to compare with; no field, so no setting

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        if not 0 <= self.gamma <= 1:
            raise ValueError(f"expected a gamma between 0 and 1, got {self.gamma}")

    def __call__(self, group: Group, /) -> list[Floats]:
        """Return one array of shape (turns,) per episode."""
        returns = [returns_to_go(episode.rewards, self.gamma) for episode in group.episodes]
        longest = max((len(one) for one in returns), default=0)
        means = np.array([np.mean([one[t] for one in returns if len(one) > t]) for t in range(longest)])
        return [one - means[: len(one)] for one in returns]


@dataclass(frozen=True, kw_only=True, slots=True)
class StepCost:
    """Takes a constant off the reward of every turn, so that short ways are better than long ones."""

    cost: float = 0.1
    """In units of the scaled reward: success pays `reward.scale`."""

    def __call__(self, group: Group, /) -> Group:
        """Return the group with other rewards; episodes, turns and their order stay."""
        episodes = [
            replace(one, turns=tuple(replace(turn, reward=turn.reward - self.cost) for turn in one.turns))
            for one in group.episodes
        ]
        return replace(group, episodes=tuple(episodes))


if __name__ == "__main__":  # the first command of above, in a directory that does not stay
    with tempfile.TemporaryDirectory() as directory:
        words = (
            "train --env AgentGym/Rooms-v0 --model tabular credit:own_credit:ReturnsToGo --iterations 3 --output-dir"
        )
        sys.exit(main([*words.split(), f"{directory}/run"]))
