"""Playing as one of several ranks: each plays its share of the groups, and then all of them know all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from agent_gym import SlotEnv
from trainers.cast import Cast
from trainers.config import TrainConfig
from trainers.interrupt import Interruption
from trainers.parallel import Ranks
from trainers.policies.base import Policy, Sampling
from trainers.rollout import RolloutStats, play
from trainers.samples import Context
from trainers.streams import stream
from trainers.tasks import agents_of
from trainers.types import Group

EVALUATING, FILTERING = -1, -2
"""Numbers in the place of an iteration's, for random streams: of evaluation, and of the choice of tasks."""

Result = tuple[list[Group], RolloutStats]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """Groups to be played, with all that the outcome depends on beside the weights; see `trainers.rollout.play`."""

    tasks: tuple[str, ...]
    group_size: int
    sampling: Sampling
    context: Context
    seed: int
    first_group: int = 0
    iteration: int = -1
    """Of training; below zero for what is none."""
    max_turns: int | None = None
    baseline: bool = False
    keep_next: bool = False

    def part(self, share: range) -> "Stretch":
        """The groups with these numbers. Played apart, they are what they would be among the others."""
        return replace(self, tasks=self.tasks[share.start : share.stop], first_group=self.first_group + share.start)

    def play(self, policy: Policy, env: SlotEnv, players: Sequence[Policy] | None = None) -> Result:
        """Play it; `players` are those of its groups, where not all are played by `policy`."""
        return play(
            policy,
            env,
            self.tasks,
            group_size=self.group_size,
            sampling=self.sampling,
            context=self.context,
            seed=self.seed,
            first_group=self.first_group,
            max_turns=self.max_turns,
            baseline=self.baseline,
            keep_next=self.keep_next,
            players=players,
        )


class Playing:
    """Policies in their environments, with the settings of a run.

    Args:
        policy: Gives the answers; or one for each role of a game, see `trainers.cast`.
        env: This rank's environments.
        config: How to sample, and which seed all random streams come from.
        ranks: Those who share the work.
    """

    staleness = 0
    """Iterations that may be played in advance, with weights that are as many updates old by the time they count."""

    def __init__(self, policy: Any, env: SlotEnv, config: TrainConfig, ranks: Ranks) -> None:
        self.policy = policy
        self.cast = Cast(config, env, policy)
        self.env = env
        self.config = config
        self.ranks = ranks
        self.sampling = Sampling(
            temperature=config.rollout.temperature,
            max_new_tokens=config.rollout.max_new_tokens,
            stop=config.rollout.stop,
        )

    def train(
        self, tasks: Sequence[str], group_size: int, iteration: int, first: int, interruption: Interruption
    ) -> Result:
        """Play a group of each task; what is drawn depends on the iteration and a group's number, counted from `first`.

        Raises:
            KeyboardInterrupt: On all ranks, if one was interrupted.
        """
        return self._together(self._training(tasks, group_size, iteration, first), interruption)

    def evaluate(self, tasks: Sequence[str], interruption: Interruption) -> list[Group]:
        """Play each task once, at the temperature of evaluation and to the environment's own limit on steps.

        Raises:
            KeyboardInterrupt: On all ranks, if one was interrupted.
        """
        stretch = Stretch(
            tasks=tuple(tasks),
            group_size=1,
            sampling=replace(self.sampling, temperature=self.config.evaluation.temperature),
            context=self.config.env.context,
            seed=stream(self.config.seed, EVALUATING),
        )
        return self._together(stretch, interruption)[0]

    def begin(self, tasks: Sequence[str], group_size: int, iteration: int) -> None:
        """Have the first groups of a later iteration played meanwhile, with the weights in hand.

        Only asked where `staleness` is more than 0.
        """
        raise NotImplementedError

    def sync(self, version: int) -> None:
        """Let all that is played from now on be played with the learner's weights as they are.

        Args:
            version: Their number: iterations that they have learnt from.
        """
        for policy in self.cast.learners.values():
            policy.sync()

    def metrics(self, groups: Sequence[Group], version: int) -> dict[str, float]:
        """What to log of an iteration beside the rest.

        Args:
            groups: What was played in it.
            version: Number of the weights that learn from it.
        """
        metrics: dict[str, float] = {}
        for policy in self.cast.learners.values():
            metrics |= getattr(policy, "metrics", dict)()
        return metrics

    def close(self) -> None:
        """Give back what others have lent."""

    def _training(self, tasks: Sequence[str], group_size: int, iteration: int, first: int) -> Stretch:
        return Stretch(
            tasks=tuple(tasks),
            group_size=group_size,
            sampling=self.sampling,
            context=self.config.env.context,
            seed=stream(self.config.seed, iteration),
            first_group=first,
            iteration=iteration,
            max_turns=self.config.rollout.max_turns,
            baseline=getattr(self.config.credit, "needs_baseline", False),
            keep_next=self.config.needs_critic,
        )

    def _play(self, stretch: Stretch) -> Result:
        """Play here, each group by whoever the cast says."""
        groups, total = list[Group](), RolloutStats()
        for place, parts in self.cast.runs(stretch.tasks, stretch.iteration, stretch.first_group):
            run = stretch.part(range(place, place + len(parts)))
            played, stats = run.play(parts[0].policy, self.env, [part.policy for part in parts])
            groups += [part.of(group) for part, group in zip(parts, played, strict=True)]
            total += stats
        return groups, total

    def _share(self, tasks: int, player: Ranks) -> range:
        """The groups that one of several players plays: of a game's agents all, since no two players share it."""
        agents = agents_of(self.env)
        games = player.stretch(tasks // agents)
        return range(games.start * agents, games.stop * agents)

    def _together(self, stretch: Stretch, interruption: Interruption) -> Result:
        """All ranks' groups in order, and what they cost together; of seconds the mean, as ranks work side by side.

        Ctrl-C may end what is done here by each for itself, but not what they do together: one that was interrupted
        tells the others, and all are.
        """
        part = None
        share = self._share(len(stretch.tasks), self.ranks)
        try:
            with interruption.allowed():
                part = self._play(stretch.part(share)) if share else ([], RolloutStats())
        except KeyboardInterrupt:
            if interruption.forced:
                raise
        parts = [theirs for theirs in self.ranks.gather(part) if theirs is not None]
        if len(parts) < self.ranks.size:
            raise KeyboardInterrupt
        total = sum((theirs for _, theirs in parts), RolloutStats())
        return [group for theirs, _ in parts for group in theirs], total.side_by_side(self.ranks.size)
