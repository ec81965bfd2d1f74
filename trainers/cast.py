"""Who plays which group: policies that learn, one for all roles or one for each, and others that stay as they are.

Where one plays alone, every group is the policy's. In a game of several agents a group belongs to a task and an agent
(`task@agent`), and the agent's role says who plays it: the policy, the role's own, or whoever `config.players.roles`
names. With `config.self_play` some games are against an earlier self: one of the roles that learn is played with the
weights in hand, the others with those of an iteration before. Nobody learns from the groups of those who stay as they
are.

Who meets whom is a function of seed, iteration and the game's number in it. Within an iteration games are dealt out by
age of the opponent, so that one copy of the weights is enough, and each earlier self is called once; tasks are shuffled
before, so that ties it to no task.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from agent_gym import SlotEnv
from agent_gym.errors import BadOptionError
from trainers.config import TrainConfig
from trainers.players import EXPERT, RANDOM, Players, model_of, name_of
from trainers.policies.base import Policy
from trainers.policies.scripted import ANSWER_FORMS, ExpertPolicy, RandomPolicy
from trainers.streams import stream
from trainers.types import Group

if TYPE_CHECKING:
    from trainers.earlier import EarlierSelves

_WHOM = 2
"""Tells the random streams of this module from others of an iteration."""


@dataclass(frozen=True, slots=True)
class Part:
    """Who plays a group."""

    policy: Policy
    learner: str | None
    """The policy that learns from it; empty where there is but one, none if nobody does."""
    player: str = ""
    """Who plays, where nobody learns from it."""
    against: str = ""
    """Who plays the other roles, where that is not policies in hand."""

    def of(self, group: Group) -> Group:
        """Return the group, with who played it."""
        return replace(group, learner=self.learner, player=self.player, against=self.against)


@dataclass(frozen=True, slots=True)
class _Meeting:
    """A game's two sides: who learns, and which earlier self plays the rest."""

    earlier: int = -1
    role: str = ""


class Cast:
    """The players of a run.

    Args:
        config: Says who learns.
        env: Tells its agents' roles, if it is a game.
        policy: The one policy, or one for each role.

    Raises:
        BadOptionError: If the roles are not those of the game, or are to learn otherwise than the policies can.
    """

    def __init__(self, config: TrainConfig, env: SlotEnv, policy: Any) -> None:
        self._config = config
        self._roles: Mapping[str, str] = getattr(env, "roles", {})
        self._others = config.players.roles
        self._own = config.players.learn == "per-role"
        self._learners = config.players.learners(self._roles.values())
        roles = sorted(set(self._roles.values())) or [""]
        if isinstance(policy, Mapping):
            self._policies = dict(policy)
        elif config.players == Players():
            self._policies = dict.fromkeys(roles, policy)
        else:
            raise BadOptionError(f"config.players says who plays which role: expected a policy for each of {roles}.")
        if self._policies.keys() != set(roles):
            raise BadOptionError(f"expected a policy for each of the roles {roles}, got them for {sorted(policy)}.")
        chosen = {role: self._policies[role] for role in self._learners or roles}
        self.learners: dict[str, Any] = chosen if self._own else {"": next(iter(chosen.values()))}
        """The policies that learn, by name."""
        different = len({id(one) for one in chosen.values()})
        if different != len(self.learners):
            raise BadOptionError(
                f"players.learn is {config.players.learn!r}, got {different} different policies for {sorted(chosen)}."
            )
        self.earlier: EarlierSelves | None = None
        """Frozen earlier selves to play against, if there are to be any."""
        if config.self_play is not None:
            from trainers import earlier  # torch, which an evaluation may do without

            if len(self._learners) < 2:
                raise BadOptionError("self_play needs a game in which two roles or more learn: leave it out.")
            self.earlier = earlier.EarlierSelves(config.self_play, self.learners)

    def evaluating(self, tasks: Sequence[str]) -> list[Part]:
        """Return who plays each task's group when the policies in hand are measured."""
        return [self._part(self._role(task), _Meeting(), {}) for task in tasks]

    def runs(self, tasks: Sequence[str], iteration: int, first: int) -> Iterator[tuple[int, list[Part]]]:
        """Yield who plays each task's group in an iteration of training, in runs that can be played at once.

        The next run must be asked for when the one before is over: the same copy of the weights may play in it.

        Args:
            tasks: Of whole games.
            iteration: Number of the iteration; below zero for what is no training, where there are no earlier selves.
            first: Number of the first group within the iteration.

        Yields:
            The place of the run's first task, and its parts.
        """
        agents = max(1, len(self._roles))
        meetings = self._meetings(iteration)
        of_task = [meetings[(first + place) // agents] if meetings else _Meeting() for place in range(len(tasks))]
        at = 0
        for earlier, run in groupby(of_task, key=lambda meeting: meeting.earlier):
            twins = self.earlier.call(earlier) if self.earlier is not None and earlier >= 0 else {}
            parts = [self._part(self._role(tasks[at + place]), one, twins) for place, one in enumerate(run)]
            yield at, parts
            at += len(parts)

    def _meetings(self, iteration: int) -> list[_Meeting]:
        """Who meets whom in each game of an iteration; empty if there is nothing to draw."""
        if self.earlier is None or iteration < 0:
            return []
        drawn = []
        for game in range(self._config.rollout.groups // len(self._roles)):
            rng = np.random.default_rng(stream(self._config.seed, iteration, _WHOM, game))
            earlier = self.earlier.draw(iteration, rng)
            role = self._learners[int(rng.integers(len(self._learners)))]
            drawn.append(_Meeting() if earlier is None else _Meeting(earlier, role))
        return sorted(drawn, key=lambda meeting: meeting.earlier)

    def _role(self, task: str) -> str:
        return self._roles.get(task.rpartition("@")[2], "")

    def _learner_of(self, role: str) -> str:
        return role if self._own else ""

    def _part(self, role: str, meeting: _Meeting, twins: Mapping[str, Policy]) -> Part:
        policy = self._policies[role]
        against = {who for other, who in self._others.items() if other != role}
        if role in self._others:
            return Part(policy, None, player=str(self._others[role]))
        if meeting.role and meeting.role != role:
            return Part(twins[self._learner_of(role)], None, player=name_of(meeting.earlier))
        names = [name_of(meeting.earlier)] if meeting.role else []
        return Part(policy, self._learner_of(role), against=", ".join([*names, *sorted(map(str, against))]))


def load_players(
    players: Players, env: Any, model: str, load: Callable[[str, bool], Any], action_format: str = "tags"
) -> Any:
    """Make the policies of a game, or of an environment for one.

    Args:
        players: Who plays.
        env: Slots, which tell the roles of a game.
        model: What those start from that learn; perhaps a checkpoint with a model for each role.
        load: Makes a policy of a model's directory, given also whether it is to learn.
        action_format: How an answer holds its command, as the environment expects it; for players without a model.

    Returns:
        One policy, or a mapping with one for each role, as `Cast` takes it.

    Raises:
        BadOptionError: If a role is named that there is not.
    """
    learners = players.learners(getattr(env, "roles", {}).values())
    if players == Players():
        return load(model, True)
    scripted = {EXPERT: ExpertPolicy, RANDOM: RandomPolicy}
    found: dict[str, Any] = {
        role: scripted[who](form=ANSWER_FORMS[action_format]) if who in scripted else load(model_of(who, role), False)
        for role, who in players.roles.items()
    }
    if players.learn == "per-role":
        return found | {role: load(model_of(model, role), True) for role in learners}
    return found | dict.fromkeys(learners, load(model, True))
