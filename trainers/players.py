"""Who plays the roles of a game for several agents: settings, readable without torch."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from agent_gym.errors import BadOptionError, did_you_mean
from trainers.credit.numerics import check_choice, check_range
from trainers.named_values import NamedValues

Learn = Literal["shared", "per-role"]
Rule = Literal["uniform", "latest"]
_NO_GAME = "this environment has no roles, it is no game of several agents"
EXPERT, RANDOM = "expert", "random"
"""Players that need no model."""
_MODEL = ("config.json", "adapter_config.json")
_NAME = re.compile(r"iteration (\d+)")


def name_of(iteration: int) -> str:
    """Who an earlier self is, for logs."""
    return f"iteration {iteration}"


def iteration_of(name: str) -> int | None:
    """Which iteration's weights a name of `name_of` stands for; none if it is somebody else's name."""
    match = _NAME.match(name)
    return int(match[1]) if match else None


def roles_in(path: str) -> list[str]:
    """Return the roles that a checkpoint has a model of its own for; none of any other directory."""
    place = Path(path)
    if not (place / "manifest.json").is_file() or any((place / name).is_file() for name in _MODEL):
        return []
    return sorted(one.name for one in place.iterdir() if any((one / name).is_file() for name in _MODEL))


def model_of(path: str, role: str) -> str:
    """Return the directory of a role's model: its own, in a checkpoint that has one for it, else `path` itself."""
    return str(Path(path) / role) if role in roles_in(path) else path


@dataclass(frozen=True, kw_only=True)
class Players:
    """Who plays the roles of a game for several agents, and which of them learn."""

    learn: Learn = "shared"
    """shared: one policy plays all roles that learn. per-role: each has its own weights, optimiser and reference."""
    roles: NamedValues = field(default_factory=dict)
    """ROLE=WHO for roles that do not learn: expert, random, or the directory of a model, which stays as it is."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        check_choice("players.learn", self.learn, get_args(Learn))
        for role, who in self.roles.items():
            if not isinstance(who, str) or not who:
                raise ValueError(
                    f"expected players.roles to name who plays the role {role!r} (expert, random, or the directory of "
                    f"a model), got {who!r}"
                )

    def learners(self, roles: Collection[str]) -> list[str]:
        """Return those of a game's roles that learn, in order; `roles` is empty where one plays alone.

        Raises:
            BadOptionError: If a role is named that the game does not have, or no role is left to learn.
        """
        known = sorted(set(roles))
        for role in self.roles:
            if role not in known:
                has = f"it must be one of {known}" if known else _NO_GAME
                raise BadOptionError(f"players.roles names {role!r}: {has}.{did_you_mean(role, known)}")
        if self.learn == "per-role" and not known:
            raise BadOptionError(f"players.learn must be shared: {_NO_GAME}.")
        learners = [role for role in known if role not in self.roles]
        if known and not learners:
            raise BadOptionError(f"players.roles must leave a role to the model, got all of {known}.")
        return learners


@dataclass(frozen=True, kw_only=True, slots=True)
class SelfPlay:
    """Games against frozen earlier selves: one role learns, and they play all others that would."""

    share: float = 0.5
    """Chance of each game to be such a one; in the others all play with the weights in hand."""
    rule: Rule = "uniform"
    """Which earlier self: each of those that are kept as likely as any other, or always the latest."""
    every: int = 10
    """Iterations from one that is kept to the next; the first is what the run started from."""
    keep: int = 10
    """Those that are kept, in memory and in checkpoints."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        check_range("share", self.share, 0, 1)
        check_choice("rule", self.rule, get_args(Rule))
        check_range("every", self.every, 1)
        check_range("keep", self.keep, 1)
