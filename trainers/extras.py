"""What a method may add to the loop beside credit and loss, and what that remembers from one iteration to the next.

    task filter        which tasks are trained on at all             once, before the first iteration
    dynamic sampling   groups that say nothing are played anew       around playing
    replay             a stored success in a group that failed       between playing and shaping
    shapers            other rewards, learnt or not                  before credit
    estimator          credit, if it goes on from earlier batches

Rewards go through a fixed order: environment → scale → shapers → penalties → returns → group statistics → advantages. A
success is stored with the environment's rewards and shaped when it is replayed, so that it is paid like its group.

Everything here is a function of the configuration, the iteration and all groups that were played. So every rank does
the same with the groups of all ranks, and what is remembered is the same on each.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agent_gym.errors import BadOptionError
from trainers.checkpoint import State
from trainers.config import TrainConfig
from trainers.credit.base import RememberingCredit
from trainers.dynamic_sampling import DynamicSampling
from trainers.judges import InfoJudge
from trainers.replay import SuccessReplay, with_logprobs
from trainers.rollout import RolloutStats
from trainers.samples import Sample, build_samples
from trainers.shaping import PenaliseInvalid, ScaleRewards, ShaperChain, ShaperState
from trainers.streams import stream
from trainers.types import Episode, Group

Floats = NDArray[np.float64]
PlaySome = Callable[[int, int], tuple[list[Group], RolloutStats]]
"""Plays groups: given the number of the first one within the iteration, and how many."""
Logprobs = Callable[[Sequence[Sample]], Sequence[Floats]]
"""Gives the log-probabilities of each sample's action tokens under the weights in hand, shape (N,)."""
_REPLAY = 1
"""Tells the random stream of replay from those of episodes."""
_ARRAYS = "shaping/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Played:
    """What an iteration has to learn from, and what was played for it."""

    groups: list[Group]
    """To learn from, rewards as the environment paid them."""
    everything: list[Group]
    """All groups as they were played: those that are not learnt from, too, and without what is replayed."""
    stats: RolloutStats
    watched: list[Group]
    """Groups of those who stay as they are, in games with those who learn."""
    replayed: frozenset[tuple[int, int]]
    """(group, member) of each episode in `groups` that was played in an earlier iteration."""
    figures: dict[str, float]
    """To log."""


class Extras:
    """The parts that the configuration names, and their memories."""

    def __init__(self, config: TrainConfig, judge: Any = None) -> None:
        """Make them.

        Args:
            config: Names them.
            judge: Of those shapers that ask one; by default the environment's own word.
        """
        self.config = config
        shapers = config.shaping.chosen()
        asking = {name: part for name, part in shapers.items() if hasattr(part, "judged_by")}
        self._judge, self._counted = (judge or InfoJudge()) if asking else None, Counter[str]()
        parts = {
            "scale": ScaleRewards(factor=config.reward.scale),
            **shapers,
            **{name: part.judged_by(self._judge) for name, part in asking.items()},
            "invalid": PenaliseInvalid(amount=config.reward.invalid_penalty, charge=config.reward.penalise),
        }
        self._names = list(parts)
        self.chain = ShaperChain(list(parts.values()))
        self.estimator: Any = config.credit.start() if hasattr(config.credit, "start") else config.credit
        """What assigns credit, with what it remembers."""
        self.replay = None if config.replay is None else SuccessReplay(config.replay)
        self.tasks: list[str] | None = None
        """Tasks that passed the filter; none if there is no filter, or before it has been asked."""

    # -- before the first iteration ------------------------------------------------------------------------------------

    @property
    def must_filter(self) -> bool:
        """Whether tasks are still to be chosen."""
        return self.config.task_filter is not None and self.tasks is None

    def filter_tasks(self, groups: Sequence[Group]) -> list[str]:
        """Keep the tasks that are worth training on, of groups that the first weights played.

        Raises:
            BadOptionError: If there are none.
        """
        assert self.config.task_filter is not None, "asked only where `must_filter` says so"
        self.tasks = self.config.task_filter.keep(groups)
        if not self.tasks:
            raise BadOptionError(
                f"task_filter keeps none of {len(groups)} tasks: the model solves all of them too often or too rarely. "
                "Warm it up (agent-gym sft), or change task_filter.least and task_filter.most."
            )
        return self.tasks

    # -- in every iteration --------------------------------------------------------------------------------------------

    def first_position(self, iteration: int) -> int:
        """Where in the order of tasks an iteration begins. With dynamic sampling each has room for all of its tries."""
        tries = 1 if self.config.dynamic_sampling is None else self.config.dynamic_sampling.max_tries
        return iteration * self.config.rollout.groups * tries

    def collect(self, play: PlaySome, iteration: int, logprobs: Logprobs) -> Played:
        """Play an iteration's groups, with what is to be played anew and replayed."""
        everything: list[Group] = []
        watched: list[Group] = []
        costs: list[RolloutStats] = []

        def play_some(first: int, count: int) -> list[Group]:
            played, stats = play(first, count)
            groups = [group for group in played if group.learner is not None]
            watched.extend(group for group in played if group.learner is None)
            everything.extend(groups)
            costs.append(stats)
            return groups

        sampling = self.config.dynamic_sampling or DynamicSampling(max_tries=1)
        sampled = sampling.collect(play_some, self.config.rollout.groups)
        figures: dict[str, float] = {}
        if self.config.dynamic_sampling is not None:
            figures |= {"sampling/tries": sampled.tries, "sampling/dropped_groups": len(sampled.dropped)}
        groups, replayed = sampled.groups, []
        if self.replay is not None:
            seed = stream(self.config.seed, iteration, _REPLAY)
            mixed = self.replay.mix(groups, iteration=iteration, seed=seed)
            groups, replayed = self._as_drawn_now(mixed.groups, mixed.replayed, logprobs), mixed.replayed
            figures |= {"replay/replayed": len(replayed), "replay/stored": len(self.replay)}
        return Played(
            groups=groups,
            everything=everything,
            watched=watched,
            stats=sum(costs, RolloutStats()),
            replayed=frozenset(replayed),
            figures={name: float(value) for name, value in figures.items()},
        )

    def _as_drawn_now(
        self, groups: Sequence[Group], replayed: Sequence[tuple[int, int]], logprobs: Logprobs
    ) -> list[Group]:
        """Give replayed episodes the log-probabilities under the weights in hand, so that their ratio starts at 1."""
        result = list(groups)
        alone = [replace(groups[g], episodes=(groups[g].episodes[e],)) for g, e in replayed]
        if not alone:  # on all ranks, so none waits for another
            return result
        samples = build_samples(alone, None, self.config.env.context)
        found: dict[int, list[Floats]] = {}
        for sample, values in zip(samples, logprobs(samples), strict=True):
            found.setdefault(sample.group, []).append(values)
        for number, (g, e) in enumerate(replayed):
            episodes = list(groups[g].episodes)
            episodes[e] = with_logprobs(episodes[e], _by_turn(episodes[e], np.concatenate(found[number])))
            result[g] = replace(groups[g], episodes=tuple(episodes))
        return result

    def remember(self, played: Played, iteration: int) -> dict[str, float]:
        """Fit the shapers to what was played, and keep its successes; returns what to log."""
        if self.replay is not None:
            self.replay.add(played.everything, iteration=iteration)
        figures = {}
        for name, value in self.chain.fit(played.everything).items():
            place, _, rest = name.partition("/")
            figures[f"shaping/{self._names[int(place)]}/{rest}"] = float(value)
        if self._judge is not None:
            counts = Counter(self._judge.counts)
            figures |= {f"judge/{name}": float(count - self._counted[name]) for name, count in counts.items()}
            self._counted = counts
        return figures

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def state(self) -> State:
        """What a checkpoint keeps."""
        shaping = self.chain.state()
        return State(
            tensors={_ARRAYS + name: torch.from_numpy(np.array(array)) for name, array in shaping.arrays.items()},
            values={
                "shaping": shaping.values,
                "credit": self.estimator.state() if isinstance(self.estimator, RememberingCredit) else None,
                "replay": None if self.replay is None else self.replay.state(),
                "tasks": self.tasks,
            },
        )

    def load_state(self, state: State) -> None:
        """Go on from a checkpoint; tensors that are not of this class are left alone.

        Raises:
            BadOptionError: If the run had other shapers.
        """
        arrays: dict[str, NDArray[Any]] = {
            name.removeprefix(_ARRAYS): tensor.numpy()
            for name, tensor in state.tensors.items()
            if name.startswith(_ARRAYS)
        }
        try:
            self.chain.load_state(ShaperState(arrays=arrays, values=state.values.get("shaping", {})))
        except ValueError as error:
            raise BadOptionError(f"the checkpoint does not fit the configuration: {error}.") from error
        if isinstance(self.estimator, RememberingCredit):
            if state.values.get("credit") is None:
                raise BadOptionError("the checkpoint does not fit the configuration: its estimator remembered nothing.")
            self.estimator.load_state(state.values["credit"])
        if self.replay is not None and state.values.get("replay") is not None:
            self.replay.load_state(state.values["replay"])
        self.tasks = state.values.get("tasks")


def _by_turn(episode: Episode, values: Floats) -> list[list[float]]:
    """Cut the values of an episode's tokens into those of its turns."""
    ends = np.cumsum([len(turn.completion.token_ids) for turn in episode.turns])
    return [part.tolist() for part in np.split(values, ends[:-1])]
