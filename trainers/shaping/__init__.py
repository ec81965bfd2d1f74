"""Reward shapers: they change the rewards of a group's turns, before returns and advantages are computed.

A shaper is called with a `Group` and returns a new one. What has settings only is a frozen dataclass. What learns is
*started* from such settings, is fitted once per iteration after its groups were shaped, and is saved with the run:

    chain = ShaperChain([ScaleRewards(), PotentialShaping(), PenaliseInvalid()])
    credited = [assign_credit(credit, group, [chain]) for group in groups]
    ...                                                 # learn
    chain.fit(groups)                                   # what it learns counts from the next iteration on

The order is part of the method:

    environment's reward → scale → shapers → penalties → returns → replay → group statistics → advantage

so that a shaper sees rewards in the units that are learned from, and a penalty is in those units too.
"""

from trainers.shaping.base import FittedShaper, Shaper, ShaperChain, ShaperState, Startable
from trainers.shaping.calm import Calm
from trainers.shaping.explors import Explors
from trainers.shaping.exprd import Exprd
from trainers.shaping.intent import IntentReward
from trainers.shaping.invalid import PenaliseInvalid
from trainers.shaping.ircoco import Ircoco
from trainers.shaping.lare import Lare
from trainers.shaping.ltl import LtlProgress
from trainers.shaping.overlong import OverlongPenalty
from trainers.shaping.potential import PotentialShaping
from trainers.shaping.renorm import Renorm
from trainers.shaping.scale import ScaleRewards
from trainers.shaping.spa import Spa

__all__ = [
    "Calm",
    "Explors",
    "Exprd",
    "FittedShaper",
    "IntentReward",
    "Ircoco",
    "Lare",
    "LtlProgress",
    "OverlongPenalty",
    "PenaliseInvalid",
    "PotentialShaping",
    "Renorm",
    "ScaleRewards",
    "Shaper",
    "ShaperChain",
    "ShaperState",
    "Spa",
    "Startable",
]
