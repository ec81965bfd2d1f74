"""A learner rank: the loop of `trainers.train` in an actor, with its weights, its gradients and the run's files."""

import functools
import io
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rich.console import Console

from trainers.config import TrainConfig
from trainers.interrupt import Interruption
from trainers.processes import INTERRUPTED, LOST_PEER
from trainers.ray_engine.cluster import actor, enter, load_ray
from trainers.ray_engine.worker import RolloutWorker

if TYPE_CHECKING:
    from trainers.ray_engine.pool import Pool


@dataclass(frozen=True, kw_only=True)
class Run:
    """What all learner ranks of a run are told."""

    config: TrainConfig
    make_envs: Callable[[Any], Any]
    """Makes the environments of an `EnvConfig`."""
    directory: str
    """Where the run was started."""
    group: Any
    """Placement group: a bundle for each learner rank, then one for each rollout worker."""


class _Held(io.StringIO):
    """A file whose text is kept until somebody takes it."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def write(self, text: str, /) -> int:
        with self._lock:
            return super().write(text)

    def take(self) -> str:
        with self._lock:
            text = self.getvalue()
            self.seek(0)
            self.truncate()
        return text


class LearnerRank:
    """One of the ranks; a Ray actor that can be talked to while it trains."""

    def __init__(self, run: Run, rank: int) -> None:
        self._run, self._rank = run, rank
        self._interruption = Interruption()
        self._told = _Held()

    def meeting_place(self) -> str:
        """Return an address on this rank's machine where the others can meet it."""
        host = load_ray().util.get_node_ip_address()
        with socket.socket() as free:
            free.bind((host, 0))
            return f"{host}:{free.getsockname()[1]}"

    def train(self, meeting_place: str, resume: bool) -> int:
        """Train, to the end or until `stop`; returns the exit status of the verb, or `LOST_PEER`."""
        from torch.distributed import DistError

        from trainers.parallel import Ranks

        enter(self._run.directory)
        try:
            if self._run.config.ray.learners > 1:
                Ranks.meet(self._rank, self._run.config.ray.learners, meeting_place)
            return self._train(resume)
        except RuntimeError as error:
            if isinstance(error, DistError) or "gloo" in str(error):
                return LOST_PEER
            raise

    def _train(self, resume: bool) -> int:
        from trainers.checks import require_fit
        from trainers.commands import be_quiet, load_policy
        from trainers.progress import ShowProgress
        from trainers.ray_engine.playing import RayPlaying
        from trainers.train import Trainer

        be_quiet()
        config = self._run.config
        # It does not play, so of environments it has as few as there can be: one, or a game's.
        env = self._run.make_envs(replace(config.env, num_envs=1, workers=0))
        # Nor does the model here generate, unless it is a judge; but what fits into a prompt is as the workers have it.
        policy = load_policy(config.model, trained=True, sampler=replace(config.sampler, engine="transformers"))
        require_fit(policy, env, config.env.split or str(env.envs[0].unwrapped.split))
        trainer = Trainer(
            config,
            env=env,
            policy=policy,
            callbacks=[ShowProgress(Console(file=self._told, markup=False, emoji=False))],
            resume=resume,
            playing=functools.partial(RayPlaying, make_pool=self._make_pool),
        )
        try:
            trainer.train(self._interruption)
        finally:
            trainer.playing.close()
            env.close()
        return INTERRUPTED if trainer.interrupted else 0

    def _make_pool(self) -> "Pool":
        from trainers.ray_engine.pool import Pool

        run, settings = self._run, self._run.config.ray

        kind = actor(RolloutWorker, run.group, settings.worker_cpus, settings.worker_gpus)

        def make(number: int) -> Any:
            return kind(settings.learners + number).remote(run.config, run.make_envs, run.directory)

        return Pool(make, settings, run.config.max_restarts)

    def told(self) -> str:
        """Return what there is to show since the last time."""
        return self._told.take()

    def stop(self) -> None:
        """Save and stop at the next good moment, as on Ctrl-C."""
        self._interruption.requested = True
