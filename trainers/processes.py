"""One process per core: `agent-gym train` starts them by itself on a CPU, unless `torchrun` has.

One process with several threads is no alternative there: threads that wait for each other in a spin are several times
slower than a single one as soon as anything else runs on the machine. So each process has one thread, plays its share
of the groups with environments of its own, and learns from its share of the samples, see `trainers.parallel`. What is
played is the same for any number of processes; weights differ by the order in which gradients are added up, so a run
keeps its number when it is resumed.
"""

import contextlib
import functools
import math
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from safetensors import safe_open

from agent_gym.errors import AgentGymError, BadOptionError
from trainers.config import TrainConfig
from trainers.run_files import CHECKPOINTS, CONFIG
from trainers.scale.shapes import is_known, shape_of
from trainers.supervise import LostProcessError, keep_going

if TYPE_CHECKING:
    from torch.multiprocessing.spawn import ProcessContext

Work = Callable[[Console], int]
"""What every process does, given where to print (all but the first print nothing); returns an exit status."""

INTERRUPTED = 130
MISTAKE = 2
LOST_PEER = 3
"""Exit status of a process that stopped because another had."""
GRACE_S = 10.0
"""Time that the other processes get to end by themselves when one has failed."""

EPISODES_AT_ONCE = 16
"""Episodes per process below which another one is not worth it. One core with half a million weights takes 0.9 ms for a
step of generation with one episode, 1.7 with 16 and 7.0 with 64: from here on a smaller share is as quick per token."""
BYTES_PER_WEIGHT = 20
"""Of a process: weight, gradient, two averages and a reference, in float32."""
BYTES_PER_PROCESS = 800_000_000
"""Of a process, besides: libraries, environments, activations."""
UNKNOWN_WEIGHTS = 1_000_000_000
"""Taken for a model that is not on this machine yet, and not known by its name."""


class TrainVerb(Protocol):
    """The command line's verb `train`, as far as it matters here."""

    config: TrainConfig
    resume: str | None
    dry_run: bool

    def check(self, make_envs: Any) -> None:
        """Raise what is wrong with the request, before processes are started for it."""

    def run(self, console: Console, make_envs: Any) -> int:
        """Train in this process, as one of its peers if there are any."""


@dataclass(frozen=True, kw_only=True)
class InProcesses:
    """The verb `train`, run by as many processes as its configuration says, or as pay."""

    verb: Any
    """A `TrainVerb` that is a dataclass, and can be pickled."""

    def run(self, console: Console, make_envs: Any) -> int:
        """Train; returns the exit status.

        Raises:
            AgentGymError: What a process had to say that can't go on.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # torchrun has started this one
            if self.verb.config.ray.address:
                raise BadOptionError("--ray must be left out under torchrun: --ray.learners shares the learning there.")
            from trainers.parallel import Ranks

            ranks = Ranks.from_environment()
            if ranks.is_main:
                self.verb.check(make_envs)
            status = int(self.verb.run(console if ranks.is_main else Console(quiet=True), make_envs))
            ranks.close()
            return status
        self.verb.check(make_envs)
        if self.verb.dry_run:
            return int(self.verb.run(console, make_envs))
        if self.verb.config.ray.address:
            from trainers.ray_engine.run import train_on_ray

            return train_on_ray(self.verb, make_envs, console)
        number, reason = choose_processes(self.verb.config, self.verb.resume)
        if reason:
            console.print(f"Training in {reason}; --processes sets another number.", highlight=False, soft_wrap=True)
        verb = replace(self.verb, config=replace(self.verb.config, processes=number))
        if number == 1:
            return int(verb.run(console, make_envs))

        def attempt(again: bool) -> int:
            started = replace(verb, resume=verb.config.output_dir) if again else verb
            return run_processes(functools.partial(_train, started, make_envs), number)

        return keep_going(attempt, Path(verb.config.output_dir) / CHECKPOINTS, verb.config.max_restarts, console)


def parse_train(words: list[str]) -> InProcesses:
    """Read the words after `train`, see `trainers.commands`."""
    from trainers.commands import parse_train

    return InProcesses(verb=parse_train(words))


def _train(verb: TrainVerb, make_envs: Any, console: Console) -> int:
    return verb.run(console, make_envs)


# How many -------------------------------------------------------------------------------------------------------------


def choose_processes(config: TrainConfig, resume: str | None = None) -> tuple[int, str]:
    """How many processes to train in, and that in words; no words where there was nothing to choose.

    A number in the configuration counts. A run that is resumed and has none was made by a single process. Otherwise it
    is one per core, as long as each has a group and `EPISODES_AT_ONCE` episodes to play and all of them fit into half
    of the memory. With a GPU it is one; so it is for a table, and with vLLM, whose engine has processes of its own.
    """
    from trainers.policies.tabular import is_tabular  # loads torch

    if config.processes is not None:
        return config.processes, ""
    if config.sampler.engine == "vllm" or is_tabular(config.model.path):
        return 1, ""
    cores = usable_cores()
    if cores == 1 or (resume is not None and (Path(resume) / CONFIG).is_file()) or _has_gpu(config.model.device):
        return 1, ""
    episodes = config.rollout.groups * config.rollout.group_size
    each = BYTES_PER_PROCESS + BYTES_PER_WEIGHT * model_weights(config.model.path)
    limits = {
        "one per core": cores,
        f"each with a group and {EPISODES_AT_ONCE} episodes or more": min(
            config.rollout.groups, episodes // EPISODES_AT_ONCE
        ),
        "which is what half of the memory holds": usable_memory() // 2 // each,
    }
    reason, number = min(limits.items(), key=lambda limit: limit[1])
    number = max(1, number)
    return number, f"{number} process{'es' if number > 1 else ''}, {reason} ({cores} cores)"


def usable_cores() -> int:
    """Cores that this process may use: as its affinity and its control group's quota say."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _control_group("cpu.max").split()
    if len(quota) == 2 and quota[0].isdecimal():
        cores = min(cores, math.ceil(int(quota[0]) / int(quota[1])))
    return max(1, cores)


def usable_memory() -> int:
    """Bytes of memory that this process may use: those of the machine, or its control group's limit."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = _control_group("memory.max").strip()
    return min(memory, int(limit)) if limit.isdecimal() else memory


def _control_group(name: str) -> str:
    with contextlib.suppress(OSError):
        return (Path("/sys/fs/cgroup") / name).read_text(encoding="ascii")
    return ""


def model_weights(path: str) -> int:
    """How many weights a model has: by its files, here or in the hub's cache, or else by its name.

    A recipe's model, which has no path yet, is small: it has none.
    """
    if not path:
        return 0
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    directory = Path(path)
    with contextlib.suppress(HFValidationError):  # it is no id of the hub
        found = try_to_load_from_cache(path, "config.json")
        directory = Path(found).parent if isinstance(found, str) else directory
    counted = sum(map(_weights_in, directory.glob("*.safetensors")))
    return counted or (shape_of(path).weights if is_known(path) else UNKNOWN_WEIGHTS)


def _weights_in(file: Path) -> int:
    with safe_open(file, "pt") as tensors:
        return sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118  no mapping


def _has_gpu(device: str) -> bool:
    import torch

    return device not in ("auto", "cpu") or (device == "auto" and torch.cuda.is_available())


# Running them ---------------------------------------------------------------------------------------------------------


def run_processes(work: Work, number: int) -> int:
    """Do the same in `number` processes that are each other's ranks; returns the first one's exit status.

    Ctrl-C and SIGTERM reach each of them once, as SIGINT, for them to save and stop; so does the end of this process.
    If one fails the others are ended, within 2 × `GRACE_S`.

    Raises:
        AgentGymError: What the process that failed first had to say.
        LostProcessError: If one was killed.
        RuntimeError: With the traceback of a process, if what failed there is a defect.
    """
    from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, start_processes

    start: Any = start_processes
    outcomes = multiprocessing.get_context("spawn").SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="agent-gym-") as directory:
        with _signals_forwarded() as forwarding:
            context = start(_rank, (number, f"{directory}/ranks", work, outcomes), number, join=False)
            forwarding.start(context)
            failed = False
            try:
                while not context.join(grace_period=GRACE_S):
                    pass
            except (ProcessRaisedException, ProcessExitedException):
                failed = True
            finally:
                _kill(context)
        told: list[tuple[int, int, str]] = []
        while not outcomes.empty():
            told.append(outcomes.get())
        for _, status, message in told:  # in the order in which they happened
            if status == MISTAKE:
                raise AgentGymError(message)
        if forwarding.received:
            return INTERRUPTED
        if failed:
            _explain(context)
    return next((status for rank, status, _ in told if rank == 0), 0)


def _rank(rank: int, number: int, store: str, work: Work, outcomes: Any) -> None:
    """Be one of the processes."""
    from gymnasium.error import Error as GymnasiumError

    from trainers.parallel import Ranks

    os.setpgid(0, 0)  # a terminal's Ctrl-C goes to the parent, which passes it on
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(number)}
    status = 0
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
        ranks = Ranks.join(rank, number, store)
        status = work(Console(quiet=rank > 0, markup=False, emoji=False))
        ranks.close()
    except KeyboardInterrupt:
        status = INTERRUPTED
        told = Console(stderr=True, quiet=rank > 0, markup=False, emoji=False)
        told.print("agent-gym: interrupted.", style="red", highlight=False)
    except (AgentGymError, GymnasiumError, OSError) as error:
        outcomes.put((rank, MISTAKE, str(error)))
        _leave(MISTAKE)
    except RuntimeError as error:
        if "gloo" not in str(error):
            raise
        _leave(LOST_PEER)
    outcomes.put((rank, status, ""))
    _leave(0)


def _leave(status: int) -> None:
    """End this process at once: threads that wait for a peer would abort one that ends in the ordinary way."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


class _Forwarding:
    """Passes signals on to processes, once there are any."""

    def __init__(self) -> None:
        self.received = 0
        self._context: ProcessContext | None = None

    def start(self, context: "ProcessContext") -> None:
        self._context = context
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})

    def handle(self, number: int, frame: FrameType | None) -> None:
        self.received += 1
        for process in self._context.processes if self._context is not None else ():
            if process.is_alive():
                # Two requests, as from a keyboard, and then no more waiting.
                os.kill(process.pid, signal.SIGINT if self.received <= 2 else signal.SIGKILL)


@contextlib.contextmanager
def _signals_forwarded() -> Iterator[_Forwarding]:
    """Hold Ctrl-C and SIGTERM back until `start`, also in the processes started meanwhile; then pass them on."""
    signals = {signal.SIGINT, signal.SIGTERM}
    forwarding = _Forwarding()
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    before = {one: signal.signal(one, forwarding.handle) for one in signals}
    try:
        yield forwarding
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)


def _kill(context: "ProcessContext") -> None:
    for process in context.processes:
        if process.is_alive():
            process.kill()
            process.join()


def _explain(context: "ProcessContext") -> None:
    """Raise what is known of a process that ended without saying why."""
    for rank, file in enumerate(context.error_files):
        if Path(file).exists():  # written by torch in the process, and by nobody else
            trace = pickle.loads(Path(file).read_bytes())
            raise RuntimeError(f"process {rank + 1} of {len(context.processes)} failed:\n{trace}")
    for rank, process in enumerate(context.processes):
        if process.exitcode is not None and process.exitcode < 0:
            name = signal.Signals(-process.exitcode).name
            raise LostProcessError(
                f"process {rank + 1} of {len(context.processes)} was ended by {name}, and with it the others (a system "
                "that is short of memory does that: try fewer --processes)."
            )
