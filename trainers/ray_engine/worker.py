"""A rollout worker: environments and a copy of the policy, in a process of its own."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from trainers.config import TrainConfig
from trainers.playing import Stretch
from trainers.ray_engine.cluster import enter, load_ray
from trainers.rollout import RolloutStats
from trainers.types import Group


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """What came of a stretch."""

    groups: list[Group]
    """Each completion with the version of the weights that it was sampled with."""
    stats: RolloutStats
    load_s: float
    """Time that new weights took to come and to be put in place; next to nothing where they were there."""
    cpu_s: float
    """Processor time that playing took, of all threads of the process."""
    figures: dict[str, float]
    """What the policy tells of itself."""


class RolloutWorker:
    """Plays stretches; a Ray actor.

    Args:
        config: Of the run.
        make_envs: Makes the environments of an `EnvConfig`.
        directory: Where the run was started.
    """

    def __init__(self, config: TrainConfig, make_envs: Callable[[Any], Any], directory: str) -> None:
        self._config, self._make_envs, self._directory = config, make_envs, directory
        self._version: int | None = None

    def ready(self) -> None:
        """Load everything. Not part of being made, so that what goes wrong is raised where it is asked for."""
        from trainers.commands import be_quiet, load_policy
        from trainers.parallel import limit_threads
        from trainers.tasks import slots_of

        enter(self._directory)
        limit_threads()
        be_quiet()
        self._env = slots_of(self._make_envs(self._config.env))
        self._policy = load_policy(self._config.model, trained=True, sampler=self._config.sampler)

    def play(self, stretch: Stretch, version: int, weights: list[Any]) -> Part:
        """Play a stretch with a version of the weights.

        Args:
            stretch: What to play.
            version: Of the weights.
            weights: A reference to them, which is looked up only where they are not in place already.
        """
        began = time.perf_counter()
        if version != self._version:
            from trainers.ray_engine.weights import unpack

            unpack(load_ray().get(weights[0]), self._policy.model)
            self._policy.sync()
            self._version = version
        load_s = time.perf_counter() - began
        began_cpu = time.process_time()
        groups, stats = stretch.play(self._policy, self._env)
        cpu_s = time.process_time() - began_cpu
        figures = dict(getattr(self._policy, "metrics", dict)())
        stamped_groups = [stamped(group, version) for group in groups]
        return Part(groups=stamped_groups, stats=stats, load_s=load_s, cpu_s=cpu_s, figures=figures)


def stamped(group: Group, version: int) -> Group:
    """Write the version of the weights into every completion of a group."""
    return replace(
        group,
        episodes=tuple(
            replace(
                episode,
                turns=tuple(
                    replace(turn, completion=replace(turn.completion, version=version)) for turn in episode.turns
                ),
            )
            for episode in group.episodes
        ),
    )
