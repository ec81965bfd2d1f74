"""Reward shapers: they change the rewards of a group's turns, before returns and advantages are computed.

A shaper is a frozen dataclass that is called with a `Group` and returns a new one. They apply in the order: scale,
then penalty, so that a penalty is in the units of the scaled reward.
"""

from trainers.shaping.invalid import PenaliseInvalid
from trainers.shaping.scale import ScaleRewards

__all__ = ["PenaliseInvalid", "ScaleRewards"]
