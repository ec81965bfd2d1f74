"""The verb `train` on a Ray cluster: starts learner ranks, shows what they tell, starts them anew if need be."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from agent_gym.errors import BadOptionError
from trainers.config import TrainConfig
from trainers.interrupt import Interruption
from trainers.players import Players
from trainers.policies.tabular import is_tabular
from trainers.processes import LOST_PEER, model_weights
from trainers.ray_engine.cluster import actor, cause_of, cluster, first_line, load_ray, losses, placed
from trainers.ray_engine.learner import LearnerRank, Run
from trainers.run_files import CHECKPOINTS
from trainers.supervise import LostProcessError, keep_going

if TYPE_CHECKING:
    from trainers.commands import Train

POLL_S = 0.5
"""How often learner ranks are asked what there is to show."""
PEERS_S = 30.0
"""Time that ranks get to end by themselves when one has."""


def train_on_ray(verb: "Train", make_envs: Callable[[Any], Any], console: Console) -> int:
    """Train as the configuration says; returns the exit status.

    Ctrl-C or SIGTERM stops the run after saving, a second one at once.

    Raises:
        AgentGymError: What a process had to say that can't go on, or that processes are lost again and again.
        MissingExtraError: If Ray is not installed.
        RuntimeError: With the traceback of a process, if what failed there is a defect.
    """
    check(verb.config)
    load_ray()
    config = verb.prepared(make_envs, console)
    # What is trained in full is sent around in float32; an adapter's base is bfloat16.
    weights_bytes = model_weights(config.model.path) * (2 if config.model.lora_rank else 4)
    with cluster(config, weights_bytes), placed(config) as group:
        run = Run(config=config, make_envs=make_envs, directory=os.getcwd(), group=group)

        def attempt(again: bool) -> int:
            return _attempt(run, again or verb.resume is not None, console)

        return keep_going(attempt, Path(config.output_dir) / CHECKPOINTS, config.max_restarts, console)


def check(config: TrainConfig) -> None:
    """Refuse what does not go together with Ray.

    Raises:
        BadOptionError: If something is asked for that does not.
    """
    if config.processes not in (None, 1):
        raise BadOptionError(f"--processes must be left out with --ray, got {config.processes}: see --ray.learners.")
    if is_tabular(config.model.path):
        raise BadOptionError("a tabular policy is trained in one process: run it without --ray.")
    if config.players != Players() or config.self_play is not None:
        raise BadOptionError("players and self_play must be left out with --ray: there one policy plays all roles.")


def _attempt(run: Run, resume: bool, console: Console) -> int:
    """Train with learner ranks that end when this does, however that is."""
    ray, settings = load_ray(), run.config.ray
    kind = actor(LearnerRank, run.group, settings.learner_cpus, settings.learner_gpus, max_concurrency=2)
    ranks = [kind(number).remote(run, number) for number in range(settings.learners)]
    try:
        with Interruption() as interruption:
            meeting_place = _meeting_place(ranks[0], settings.start_timeout_s)
            running = {rank.train.remote(meeting_place, resume): number for number, rank in enumerate(ranks)}
            return _watch(running, ranks[0], interruption, console)
    finally:
        for rank in ranks:
            ray.kill(rank)


def _meeting_place(first: Any, timeout_s: float) -> str:
    """Where the ranks meet, as soon as the first one has found a place."""
    ray = load_ray()
    try:
        return str(ray.get(first.meeting_place.remote(), timeout=timeout_s))
    except (*losses(), ray.exceptions.GetTimeoutError) as error:
        raise LostProcessError(f"the first learner rank did not start ({first_line(error)}).") from error


def _watch(running: dict[Any, int], first: Any, interruption: Interruption, console: Console) -> int:
    """Show what the first rank tells until all have ended; returns its exit status.

    Args:
        running: Number of each rank, by what its training is going to return.
        first: Rank 0.
        interruption: Passed on to the ranks.
        console: Where it is shown.

    Raises:
        LostProcessError: If a rank is lost.
        AgentGymError: What a rank has to say that can't go on.
        RuntimeError: If it is a defect.
    """
    ray, number = load_ray(), len(running)
    statuses: dict[int, int] = {}
    asked, last_s, telling = False, float("inf"), None
    while running and time.monotonic() < last_s:
        done, _ = ray.wait(list(running), timeout=POLL_S)
        telling = _show(first, console, telling)
        if interruption.requested and not asked:
            asked = True
            first.stop.remote()
        for reference in done:
            rank = running.pop(reference)
            try:
                statuses[rank] = ray.get(reference)
            except losses() as error:
                raise LostProcessError(
                    f"learner rank {rank + 1} of {number} was lost ({first_line(error)})."
                ) from error
            except ray.exceptions.RayTaskError as error:
                raise cause_of(error) from error
        if LOST_PEER in statuses.values():  # who was lost, or what it had to say, is about to be known
            last_s = min(last_s, time.monotonic() + PEERS_S)
    if telling is not None:  # what it told before it ended may be late, and lacks what came after
        _show(first, console, telling, timeout_s=PEERS_S)
    _show(first, console, timeout_s=PEERS_S)
    if LOST_PEER in statuses.values():
        raise LostProcessError("a learner rank lost its peers.")
    return statuses[0]


def _show(first: Any, console: Console, telling: Any = None, timeout_s: float = POLL_S) -> Any:
    """Show what the first rank tells; returns an answer that is late, for the next call to wait for.

    What it has told once it does not tell again.
    """
    ray = load_ray()
    telling = first.told.remote() if telling is None else telling
    try:
        text = ray.get(telling, timeout=timeout_s)
    except ray.exceptions.GetTimeoutError:
        return telling
    except losses():
        return None
    console.print(text, end="", markup=False, highlight=False, soft_wrap=True)
    return None
