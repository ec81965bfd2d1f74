"""A Ray cluster: joined, or started on this machine; and what its errors mean."""

import contextlib
import importlib
import math
import os
import socket
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from agent_gym.errors import AgentGymError, BadOptionError, MissingExtraError
from trainers.config import TrainConfig

AUTO = "auto"
STORE_BYTES = 256 * 2**20
"""Of the object store of a cluster that is started here, beside what it needs for weights."""

_SETTINGS: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # An actor that asks for no GPU sees none.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    # Of a cluster that is started here. Actors are the work itself, and not what runs beside it: by default they have
    # the lowest priority but four.
    "RAY_worker_niceness": "0",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_agent_register_timeout_ms": "600000",
}


def load_ray() -> Any:
    """Import Ray, with settings of its own that suit a run, unless the environment has them.

    Raises:
        MissingExtraError: If it is not installed.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise MissingExtraError(f"--ray needs Ray: pip install 'agent-gym[ray]' ({error}).") from error


@contextlib.contextmanager
def cluster(config: TrainConfig, weights_bytes: int) -> Iterator[None]:
    """Be connected to the cluster that the configuration names.

    `auto` joins the one that `ray start` has started on this machine. Where there is none it starts one for as long as
    the run takes, with as many cores as the run asks for, be there as many or not. A process that is connected already
    stays so.

    Args:
        config: Of the run.
        weights_bytes: Size of the weights; the store of a cluster that is started holds what versions are in use.

    Raises:
        BadOptionError: If there is no cluster at the address, or one that does not take this process.
    """
    ray, settings = load_ray(), config.ray
    cpus = settings.worker_cpus * settings.workers + settings.learner_cpus * settings.learners
    if ray.is_initialized():
        yield
        return
    if not _join(settings.address):
        _connect(
            address="local",
            num_cpus=max(1, math.ceil(cpus)),
            object_store_memory=STORE_BYTES + (settings.staleness + 2) * weights_bytes,
            include_dashboard=False,
        )
    try:
        yield
    finally:
        ray.shutdown()


def _join(named: str) -> bool:
    """Join the cluster at an address; with `AUTO` the one of this machine, and False if there is none.

    Raises:
        BadOptionError: If there is none at the address, or one that does not take this process.
    """
    address = running() if named == AUTO else named
    if not address:
        return False
    try:
        _connect(address=address)
    except (ConnectionError, ValueError, RuntimeError) as error:
        if named == AUTO:
            told = " ".join(str(error).split()).rstrip(".") or "it does not answer"
            raise BadOptionError(
                f"--ray auto has found a cluster at {address}, which it can't join: {told}. It takes the Ray and the "
                "Python that it was started with; `ray stop` ends one on this machine."
            ) from error
        raise BadOptionError(
            f"--ray must be auto or the address of a cluster, got {named!r}: {first_line(error)}. "
            "`ray start --head` starts one and says its address."
        ) from error
    return True


def running(seconds: float = 2.0) -> str:
    """Address of the cluster that `ray start` has started on this machine last; empty if there is none by now.

    Ray's own "auto" would also join what another run has started for itself, and ends when it is over. And the note
    that `ray start` makes stays after a crash: Ray would try its address for minutes.
    """
    if os.environ.get("RAY_ADDRESS"):  # somebody knows better
        return os.environ["RAY_ADDRESS"]
    temporary = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    note = Path(temporary, "ray", "ray_current_cluster")
    if not note.is_file():
        return ""
    address = note.read_text("utf-8").strip()
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=seconds):
            return address
    except (OSError, ValueError):
        return ""


def _connect(**options: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # what Ray will do about GPUs is settled in _SETTINGS
        load_ray().init(log_to_driver=False, logging_level="ERROR", **options)


@contextlib.contextmanager
def placed(config: TrainConfig) -> Iterator[Any]:
    """Hold a placement group with a bundle for each learner rank, and then one for each rollout worker.

    Raises:
        AgentGymError: If the cluster does not have that much.
        BadOptionError: If it has GPUs, and a run that takes what there is (`model.device`) is given none of them; with
            vLLM both workers and learners must have some.
    """
    ray, settings = load_ray(), config.ray
    gpus = ray.cluster_resources().get("GPU", 0)
    enough = all if config.sampler.engine == "vllm" else any
    if gpus and config.model.device == "auto" and not enough((settings.worker_gpus, settings.learner_gpus)):
        raise BadOptionError(
            f"the cluster has {gpus:g} GPUs, and ray.worker_gpus is {settings.worker_gpus:g}, ray.learner_gpus "
            f"{settings.learner_gpus:g}: give each a number above 0, or name --model.device cpu."
        )
    util = importlib.import_module("ray.util")
    bundles = [_bundle(settings.learner_cpus, settings.learner_gpus)] * settings.learners
    bundles += [_bundle(settings.worker_cpus, settings.worker_gpus)] * settings.workers
    group = util.placement_group(bundles, strategy=settings.placement.upper())
    try:
        if not group.wait(settings.start_timeout_s):
            has = {name: amount for name, amount in ray.available_resources().items() if name in ("CPU", "GPU")}
            raise AgentGymError(
                f"the cluster has no room for {settings.learners} learner ranks and {settings.workers} rollout workers "
                f"(placement {settings.placement}): expected {bundles}, free are {has}. Ask for less, add nodes, or "
                "wait until others have finished."
            )
        yield group
    finally:
        util.remove_placement_group(group)


def _bundle(cpus: float, gpus: float) -> dict[str, float]:
    # Never empty, which Ray would refuse.
    return {name: amount for name, amount in (("CPU", cpus), ("GPU", gpus)) if amount} or {"CPU": 0.001}


def actor(kind: type, group: Any, cpus: float, gpus: float, **options: Any) -> Callable[[int], Any]:
    """A class as an actor; a bundle's number gives the one that starts there with `.remote(…)`.

    Who starts it anew is we, never Ray.
    """
    ray = load_ray()
    strategies = importlib.import_module("ray.util.scheduling_strategies")

    def in_bundle(number: int) -> Any:
        strategy = strategies.PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=number)
        return ray.remote(kind).options(
            num_cpus=cpus, num_gpus=gpus, scheduling_strategy=strategy, max_restarts=0, max_task_retries=0, **options
        )

    return in_bundle


def losses() -> tuple[type[Exception], ...]:
    """What is raised in the place of a result where the actor, its node or the result itself is gone."""
    errors = load_ray().exceptions
    return (
        errors.RayActorError,
        errors.ActorUnschedulableError,
        errors.ObjectLostError,
        errors.NodeDiedError,
        errors.WorkerCrashedError,
        errors.OutOfMemoryError,
    )


def cause_of(error: Any) -> Exception:
    """What an actor's method has raised: as it is where it is meant for a person, else with the actor's traceback."""
    from gymnasium.error import Error as GymnasiumError

    cause = error.cause
    if isinstance(cause, (AgentGymError, GymnasiumError, OSError)):
        return cause
    return RuntimeError(str(error))


def enter(directory: str) -> None:
    """Let this process work in a directory, so that relative paths mean the same; on another machine, if it has it."""
    if os.path.isdir(directory):
        os.chdir(directory)


def first_line(error: Exception) -> str:
    """What an error says, without what it adds over many lines."""
    return str(error).strip().partition("\n")[0].rstrip(".")
