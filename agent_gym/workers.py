"""Environments in worker processes, behind the slot interface: for engines that are slow, or may crash or hang.

    slots = WorkerSlots([functools.partial(gym.make, "AgentGym/TextWorld-v0")] * 16, workers=4)

Slot i lives in worker i mod the number of workers, and what it gives does not depend on how many there are: bit for bit
what `LocalSlots` gives. Environments that take microseconds a step are faster in this process.

**A worker that dies** (killed, or crashed with its engine) is replaced. An episode of its is brought back when it is
next asked for, by starting it in the same way and saying the same again, and must arrive at the same frame. The request
during which the worker died is made once more; if it kills a second worker, or the episode does not come back as it
was, the slot's request fails with `WorkerError` and the slot waits for its next start. A rollout counts that as a
failed episode. **A worker that hangs**, giving no answer within `timeout_s`, is killed and so becomes one that died.

Workers end with the process that started them, however that ends. Ctrl-C does not reach them: they are in sessions of
their own.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import sys
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

import cloudpickle
import gymnasium as gym

from agent_gym import keys
from agent_gym.errors import BadOptionError, WorkerError
from agent_gym.remote_env import RemoteEnv, raised
from agent_gym.vector import Frame, check_lengths
from agent_gym.worker_process import Replay, Reply, Request

TIMEOUT_S = 600.0
"""How long a worker may think about one request, unless told otherwise."""

_PROGRAM = "from agent_gym.worker_process import main; main()"
_RETRIES = 1
_START_S = 600.0
"""How long a worker may take to make its environments, which begins with importing what they need."""
_CLOSING_S = 10.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Journal:
    """What brings an episode back, and the frame that it must arrive at."""

    options: dict[str, Any] | None
    seed: int | None
    random_state: Mapping[str, Any] | None
    last: Frame
    texts: list[str] = field(default_factory=list)

    def replay(self) -> Replay:
        return Replay(self.options, self.seed, self.random_state, tuple(self.texts))

    def ends_at(self, frame: Frame | None) -> bool:
        """Whether a replay has come to the same; states that have no key are compared by what was observed."""
        last = self.last
        return frame is not None and (
            (frame[:4], frame.info.get(keys.STATE_KEY)) == (last[:4], last.info.get(keys.STATE_KEY))
        )


@dataclass(slots=True)
class _Job:
    """One request on its way."""

    slot: int
    what: str
    arguments: tuple[Any, ...]
    failures: int = 0
    replay: Replay | None = None
    outcome: Any = None

    @property
    def needs_episode(self) -> bool:
        """Whether the slot must be as it was; a start with a seed begins from nothing."""
        return not (self.what == "start" and self.arguments[1] is not None)


class _Process:
    """One worker: its process, while there is one, and the jobs it has not done."""

    def __init__(self, recipes: dict[int, bytes]) -> None:
        self.recipes = recipes
        self.jobs: deque[_Job] = deque()
        self.sent = 0
        self.made = False
        self.deadline = 0.0
        self.process: subprocess.Popen[bytes] | None = None
        self.connection: Connection | None = None

    def start(self) -> None:
        """Start the process and tell it what to make; the answer comes before all others."""
        ours, theirs = Pipe()
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C and the like are for the process that started it
        )
        theirs.close()
        self.connection, self.sent, self.made = ours, 0, False
        self.send(self.recipes)

    def send(self, message: object) -> None:
        """Send a message; that the worker has gone is noticed where its answer is waited for."""
        assert self.connection is not None
        try:
            self.connection.send_bytes(pickle.dumps(message))
        except OSError:
            _log.debug("a worker process has gone before it was told what to do")

    def kill(self) -> None:
        """End the process and whatever its engines have started."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                _log.debug("a worker process had ended by itself")
            self.process.wait()
        if self.connection is not None:
            self.connection.close()
        self.process = self.connection = None


class WorkerSlots:
    """Slots over environments in worker processes.

    Attributes:
        envs: A stand-in for each environment, with `reset`, `step` and the public attributes of the bare environment.
    """

    def __init__(
        self, makers: Sequence[Callable[[], gym.Env[Any, Any]]], workers: int, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        """Start the workers and have them make the environments.

        Args:
            makers: One function per slot. They are pickled with cloudpickle, so lambdas will do.
            workers: Number of processes; more than slots make no sense, and are not started.
            timeout_s: Seconds that a request may take, for one slot, before its worker counts as hanging.

        Raises:
            BadOptionError: If a number is out of range, or a function can't be pickled.
            WorkerError: If workers die or hang before they have made their environments.
        """
        if not makers:
            raise BadOptionError("Expected at least one environment, got none; pass num_envs >= 1.")
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
            raise BadOptionError(f"workers must be a number of processes (1, 2, …), got {workers!r}.")
        if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or not timeout_s > 0:
            raise BadOptionError(f"timeout_s must be a number of seconds above 0, got {timeout_s!r}.")
        self.num_slots, self.timeout_s = len(makers), timeout_s
        recipes = {key: _packed(maker) for key, maker in {id(maker): maker for maker in makers}.items()}
        number = min(workers, len(makers))
        self._crew = [
            _Process({slot: recipes[id(makers[slot])] for slot in range(first, len(makers), number)})
            for first in range(number)
        ]
        self._journals: dict[int, _Journal] = {}
        self._cold: set[int] = set()
        self._lost: dict[int, str] = {}
        self._about: dict[str, Any] = {}
        self._tasks: dict[str, Sequence[str]] = {}
        self._finalizer = weakref.finalize(self, _end, self._crew)
        self._ask_or_raise([_Job(first, "get", ("metadata",)) for first in range(number)])
        self.envs = [RemoteEnv(self, slot, self._about) for slot in range(self.num_slots)]

    @property
    def processes(self) -> tuple[int, ...]:
        """Process ids of the workers that run."""
        return tuple(worker.process.pid for worker in self._crew if worker.process is not None)

    # The slot interface -----------------------------------------------------------------------------------------------

    def tasks(self, split: str) -> Sequence[str]:
        """Return the sorted task ids of a split."""
        if split not in self._tasks:
            self._tasks[split] = self.call(0, "tasks", split)
        return self._tasks[split]

    def start(self, slots: Sequence[int], tasks: Sequence[str | None], seeds: Sequence[int | None]) -> list[Frame]:
        """Start an episode in each named slot, all workers at once."""
        return raised(self.start_each(slots, tasks, seeds))

    def step(self, slots: Sequence[int], texts: Sequence[str]) -> list[Frame]:
        """Step the named slots, all workers at once."""
        return raised(self.step_each(slots, texts))

    def start_each(
        self, slots: Sequence[int], tasks: Sequence[str | None], seeds: Sequence[int | None]
    ) -> list[Frame | Exception]:
        """Start as `start` does; where that raised an error, it stands in the place of the frame."""
        check_lengths(slots, tasks=tasks, seeds=seeds)
        return self.start_with(slots, [None if task is None else {"task": task} for task in tasks], seeds)

    def start_with(
        self, slots: Sequence[int], options: Sequence[dict[str, Any] | None], seeds: Sequence[int | None]
    ) -> list[Frame | Exception]:
        """Start with any options of `reset`; an error stands in the place of a frame."""
        for slot in slots:
            self._lost.pop(slot, None)
        return self._ask(
            [_Job(one, "start", (how, seed)) for one, how, seed in zip(slots, options, seeds, strict=True)]
        )

    def step_each(self, slots: Sequence[int], texts: Sequence[str]) -> list[Frame | Exception]:
        """Step as `step` does; where that raised an error, it stands in the place of the frame."""
        check_lengths(slots, texts=texts)
        return self._ask([_Job(slot, "step", (text,)) for slot, text in zip(slots, texts, strict=True)])

    def close(self) -> None:
        """Close the environments and end the workers; one that does not end soon is killed."""
        for worker in self._crew:
            if worker.process is not None:
                worker.send(None)
        until = time.monotonic() + _CLOSING_S
        for worker in self._crew:
            if worker.process is not None:
                try:
                    worker.process.wait(max(0.0, until - time.monotonic()))
                except subprocess.TimeoutExpired:
                    _log.warning("a worker process did not close its environments within %g s", _CLOSING_S)
        self._finalizer()

    # What else trainers ask of environments ---------------------------------------------------------------------------

    def expert_action(self, slot: int) -> str:
        """Return what the environment's expert would do in a slot."""
        return str(self.call(slot, "expert_action"))

    def call(self, slot: int, name: str, *arguments: Any) -> Any:
        """Call a method of the bare environment of a slot, which must not change it."""
        return self._ask_or_raise([_Job(slot, "call", (name, arguments))])[0]

    def get(self, slot: int, name: str) -> tuple[bool, Any]:
        """Return whether an attribute of the bare environment is a method, and its value if it is none."""
        is_method, value = self._ask_or_raise([_Job(slot, "get", (name,))])[0]
        return bool(is_method), value

    # Work and its failures --------------------------------------------------------------------------------------------

    def _ask_or_raise(self, jobs: Sequence[_Job]) -> list[Any]:
        return raised(self._ask(jobs))

    def _ask(self, jobs: Sequence[_Job]) -> list[Any]:
        """Have jobs done and return their outcomes in order; an exception stands in the place of what it prevented."""
        if not self._finalizer.alive:
            raise WorkerError("these environments are closed: expected open ones; make new ones.")
        for job in jobs:
            if not 0 <= job.slot < self.num_slots:
                raise IndexError(f"slots are numbered from 0 to {self.num_slots - 1}, got {job.slot}.")
        for job in jobs:
            if job.slot in self._lost and job.what == "step":
                job.outcome = WorkerError(self._lost[job.slot])
            else:
                self._crew[job.slot % len(self._crew)].jobs.append(job)
        moved = {job.slot: self._journals.get(job.slot) for job in jobs if job.what in ("start", "step")}
        before = [(slot, one, len(one.texts), one.last) for slot, one in moved.items() if one is not None]
        finished = False
        try:
            while busy := [worker for worker in self._crew if worker.jobs]:
                for worker in busy:
                    self._post(worker)
                self._receive(busy)
            finished = True
        finally:
            for worker in self._crew:
                if worker.jobs:  # interrupted: what it would still answer is not waited for
                    self._stop(worker)
                    worker.jobs.clear()
            if not finished:  # nobody learns of the answers that have come: these episodes are brought back, too
                for slot, journal, texts, last in before:
                    del journal.texts[texts:]
                    journal.last, self._journals[slot] = last, journal
                    self._cold.add(slot)
        return [job.outcome for job in jobs]

    def _post(self, worker: _Process) -> None:
        if worker.process is not None and worker.sent == 0 and worker.process.poll() is not None:
            self._stop(worker)  # it died while it had nothing to do
        if worker.process is None:
            worker.start()
        idle = worker.sent == 0
        for job in list(worker.jobs)[worker.sent :]:
            journal = self._journals.get(job.slot) if job.slot in self._cold and job.needs_episode else None
            job.replay = journal.replay() if journal is not None else None
            self._cold.discard(job.slot)
            worker.send(Request(job.slot, job.replay, job.what, job.arguments))
            worker.sent += 1
        if idle:
            self._set_deadline(worker)

    def _set_deadline(self, worker: _Process) -> None:
        """Give it its time for the job at hand, which is longer where an episode is brought back first."""
        patience = max(self.timeout_s, _START_S)
        if worker.made and worker.jobs:
            replay = worker.jobs[0].replay
            patience = self.timeout_s * (1 + (len(replay.texts) + 1 if replay is not None else 0))
        worker.deadline = time.monotonic() + patience

    def _receive(self, busy: Sequence[_Process]) -> None:
        now = time.monotonic()
        by_connection = {worker.connection: worker for worker in busy if worker.connection is not None}
        patience = max(0.0, min(worker.deadline for worker in busy) - now)
        for connection in wait(list(by_connection), patience):
            assert isinstance(connection, Connection)
            worker = by_connection.pop(connection)
            try:
                reply: Reply = pickle.loads(connection.recv_bytes())
            except (EOFError, OSError):
                self._replace(worker, "died")
                continue
            self._take(worker, reply)
            self._set_deadline(worker)
        for worker in by_connection.values():
            if time.monotonic() >= worker.deadline:
                self._replace(worker, f"gave no answer for {self.timeout_s:g} s")

    def _take(self, worker: _Process, reply: Reply) -> None:
        if not worker.made:
            if reply.done:
                worker.made, self._about = True, reply.value
            else:  # its environments can't be made
                self._stop(worker)
                worker.jobs.popleft().outcome = reply.value
            return
        job = worker.jobs.popleft()
        worker.sent -= 1
        journal = self._journals.get(job.slot)
        if job.replay is not None and not (journal is not None and journal.ends_at(reply.replayed)):
            self._give_up(job, "its worker process had died, and saying the same again led elsewhere")
        elif not reply.done:
            job.outcome = reply.value
            if job.what in ("start", "step"):
                self._journals.pop(job.slot, None)  # how far it got is not known
        elif job.what == "start":
            frame, random_state = reply.value
            options, seed = job.arguments
            self._journals[job.slot] = _Journal(options, seed, random_state, frame)
            job.outcome = frame
        else:
            job.outcome = reply.value
            if job.what == "step" and journal is not None:
                journal.texts.append(job.arguments[0])
                journal.last = reply.value

    def _replace(self, worker: _Process, what_happened: str) -> None:
        """Do without a worker that failed; another one is started for what it has not done."""
        self._stop(worker)
        job = worker.jobs[0]
        job.failures += 1
        _log.warning("a worker process %s in slot %d, at its request to %s", what_happened, job.slot, job.what)
        if job.failures > _RETRIES:
            worker.jobs.popleft()
            self._give_up(job, f"its worker process {what_happened}, and so did the one that took its place")

    def _stop(self, worker: _Process) -> None:
        worker.kill()
        worker.sent = 0
        self._cold.update(slot for slot in worker.recipes if slot in self._journals)

    def _give_up(self, job: _Job, why: str) -> None:
        self._journals.pop(job.slot, None)
        self._cold.discard(job.slot)
        self._lost[job.slot] = f"the episode in slot {job.slot} is lost: {why}. Start another one there."
        job.outcome = WorkerError(self._lost[job.slot])


def _packed(maker: Callable[[], gym.Env[Any, Any]]) -> bytes:
    try:
        packed: bytes = cloudpickle.dumps(maker)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        raise BadOptionError(
            f"environments in worker processes are made there, so what makes them must pickle: {error}."
        ) from error
    return packed


def _end(crew: Sequence[_Process]) -> None:
    for worker in crew:
        worker.kill()
