"""Playing where others play: rank 0 has the rollout workers play, and tells the other ranks."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from agent_gym import SlotEnv
from trainers.config import TrainConfig
from trainers.interrupt import Interruption
from trainers.parallel import Ranks
from trainers.playing import Playing, Result, Stretch
from trainers.policies.base import Policy
from trainers.ray_engine.cluster import load_ray
from trainers.ray_engine.pool import Batch, Pool
from trainers.ray_engine.weights import pack
from trainers.ray_engine.worker import Part
from trainers.rollout import RolloutStats
from trainers.types import Group


class RayPlaying(Playing):
    """Plays with rollout workers, which are given the weights after each update.

    Whatever their number, they play what one process would: what an episode draws depends on its place and its weights.
    With `ray.staleness` s the groups of iteration n are played with the weights of iteration n − s, while those between
    are learnt from; the first s iterations, and those after a run was resumed, with the weights of the first of them.

    Args:
        policy: The learner's, which does not play.
        env: Knows the tasks, and does not play either.
        config: Of the run.
        ranks: The learner's.
        make_pool: Starts the workers.
    """

    def __init__(
        self, policy: Policy, env: SlotEnv, config: TrainConfig, ranks: Ranks, *, make_pool: Callable[[], Pool]
    ) -> None:
        super().__init__(policy, env, config, ranks)
        self.staleness = config.ray.staleness
        self._pool = make_pool() if ranks.is_main else None
        self._begun: dict[Stretch, Batch] = {}
        self._version, self._weights = 0, None
        self._figures: dict[str, float] = {}

    def sync(self, version: int) -> None:
        """Put the learner's weights where workers find them, once for all; each fetches them when it plays next."""
        if self._pool is not None:
            self._version, self._weights = version, load_ray().put(pack(self.policy.model))

    def begin(self, tasks: Sequence[str], group_size: int, iteration: int) -> None:
        """Have the first groups of a later iteration played with the weights in hand, unless they are under way."""
        stretch = self._training(tasks, group_size, iteration, 0)
        if self._pool is not None and stretch not in self._begun:
            self._begun[stretch] = self._submit(stretch)

    def metrics(self, groups: Sequence[Group], version: int) -> dict[str, float]:
        """How far behind the weights that played were, what waiting and loading took, how many workers were lost."""
        lags = [
            version - turn.completion.version
            for group in groups
            for episode in group.episodes
            for turn in episode.turns
            if turn.completion.version is not None
        ]
        figures, self._figures = self._figures, {}
        if lags:
            figures |= {"rollout/staleness": sum(lags) / len(lags), "rollout/staleness_max": float(max(lags))}
        if self._pool is not None:
            figures["ray/replaced_workers"] = float(self._pool.replaced)
        return figures

    def close(self) -> None:
        """End the workers."""
        if self._pool is not None:
            self._pool.close()

    def _submit(self, stretch: Stretch) -> Batch:
        assert self._pool is not None, "rank 0 alone asks"
        workers = self.config.ray.workers
        shares = [self._share(len(stretch.tasks), Ranks(rank=rank, size=workers)) for rank in range(workers)]
        return self._pool.submit([stretch.part(share) for share in shares if share], self._version, self._weights)

    def _together(self, stretch: Stretch, interruption: Interruption) -> Result:
        """What the workers have played, on all ranks."""
        parts: list[Part] | None = None
        if self._pool is not None:
            began = time.perf_counter()
            batch = self._begun.pop(stretch, None) or self._submit(stretch)
            try:
                with interruption.allowed():
                    parts = self._pool.collect(batch, interruption)
            except KeyboardInterrupt:
                if interruption.forced:
                    raise
            else:
                self._note(parts, time.perf_counter() - began)
        parts = self.ranks.gather(parts)[0]
        if parts is None:
            raise KeyboardInterrupt
        total = sum((part.stats for part in parts), RolloutStats())
        return [group for part in parts for group in part.groups], total.side_by_side(len(parts))

    def _note(self, parts: Sequence[Part], waited_s: float) -> None:
        """Keep what is to be logged: seconds add up over an iteration, of what policies tell the last counts."""
        found: dict[str, Any] = {name: 0.0 for part in parts for name in part.figures}
        for part in parts:
            for name, value in part.figures.items():
                found[name] += value / len(parts)
        for name, seconds in (
            ("time/waiting_s", waited_s),
            ("time/loading_s", sum(part.load_s for part in parts) / len(parts)),
            ("time/playing_cpu_s", max(part.cpu_s for part in parts)),  # of the worker that took most
        ):
            found[name] = self._figures.get(name, 0.0) + seconds
        self._figures |= found
