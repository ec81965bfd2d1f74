"""The rollout workers of a run, and what they are to play.

Stretches wait in a queue. A worker that is free gets the next one; one that dies, or takes longer than it may, is
replaced, and its stretch is the next in the queue. A stretch says all that its outcome depends on, so it does not
matter who plays it and how often; what counts is the one outcome that is taken.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent_gym.errors import AgentGymError
from trainers.interrupt import Interruption
from trainers.playing import Stretch
from trainers.ray_engine.cluster import cause_of, first_line, load_ray, losses
from trainers.ray_engine.worker import Part
from trainers.settings import RaySettings

POLL_S = 1.0
"""How often it is looked whether a worker is late, or the run is to end."""


@dataclass(eq=False, kw_only=True, slots=True)
class Batch:
    """Stretches that are wanted together."""

    version: int
    """Of the weights that play them."""
    parts: list[Part | None]
    """What came of each."""


@dataclass(eq=False, kw_only=True, slots=True)
class _Work:
    """A stretch on its way."""

    batch: Batch
    place: int
    stretch: Stretch
    weights: Any
    losses: int = 0
    """Workers that were lost over it."""


@dataclass(eq=False, kw_only=True, slots=True)
class _Seat:
    """A worker's place: who sits there changes."""

    number: int
    actor: Any = None
    work: _Work | None = None
    """What it plays; none while it starts."""
    late_at: float = 0.0
    losses: int = 0
    """Workers lost here in a row."""


@dataclass(eq=False, slots=True)
class Pool:
    """Workers, from the start of a run to its end.

    Args:
        make: Starts the worker of a number, as an actor.
        settings: How many, and how long they may take.
        max_restarts: Times in a row that a worker is replaced, and that a stretch is tried again.
    """

    make: Callable[[int], Any]
    settings: RaySettings
    max_restarts: int
    replaced: int = field(default=0, init=False)
    """Workers that were replaced so far."""
    _queue: deque[_Work] = field(default_factory=deque, init=False)
    _free: deque[_Seat] = field(default_factory=deque, init=False)
    _busy: dict[Any, _Seat] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Start all workers; nobody waits for them yet."""
        for number in range(self.settings.workers):
            self._start(_Seat(number=number))

    def submit(self, stretches: Sequence[Stretch], version: int, weights: Any) -> Batch:
        """Have stretches played with a version of the weights; those that find no free worker wait for `collect`."""
        batch = Batch(version=version, parts=[None] * len(stretches))
        for place, stretch in enumerate(stretches):
            self._queue.append(_Work(batch=batch, place=place, stretch=stretch, weights=weights))
        self._attend(0.0)
        return batch

    def collect(self, batch: Batch, interruption: Interruption) -> list[Part]:
        """Wait until all of a batch is played.

        Raises:
            AgentGymError: If there are no workers left, or a stretch has cost too many.
            KeyboardInterrupt: If the run was interrupted meanwhile.
        """
        while any(part is None for part in batch.parts):
            if interruption.requested:
                raise KeyboardInterrupt
            self._attend(POLL_S)
        return [part for part in batch.parts if part is not None]

    def close(self) -> None:
        """End all workers, whatever they are doing."""
        for seat in (*self._free, *self._busy.values()):
            load_ray().kill(seat.actor)
        self._free.clear()
        self._busy.clear()

    def _attend(self, patience_s: float) -> None:
        """Hand out work, wait for news, and see to all that has come and to who is late."""
        ray = load_ray()
        self._hand_out()
        ray.wait(list(self._busy), timeout=patience_s)
        done, _ = ray.wait(list(self._busy), num_returns=len(self._busy), timeout=0.0)
        for reference in done:
            self._take(reference)
        now = time.monotonic()
        for reference in [one for one, seat in self._busy.items() if now > seat.late_at]:
            seat = self._busy.pop(reference)
            self._lose(seat, f"it took longer than ray.{'play' if seat.work else 'start'}_timeout_s allows")
        self._hand_out()

    def _hand_out(self) -> None:
        while self._queue and self._free:
            seat, work = self._free.popleft(), self._queue.popleft()
            seat.work, seat.late_at = work, time.monotonic() + self.settings.play_timeout_s
            self._busy[seat.actor.play.remote(work.stretch, work.batch.version, [work.weights])] = seat

    def _take(self, reference: Any) -> None:
        """Take what a worker has done."""
        ray, seat = load_ray(), self._busy.pop(reference)
        try:
            part = ray.get(reference)
        except losses() as error:
            self._lose(seat, first_line(error))
            return
        except ray.exceptions.RayTaskError as error:
            raise cause_of(error) from error
        if seat.work is not None:
            seat.work.batch.parts[seat.work.place] = part
            seat.losses = 0
        seat.work = None
        self._free.append(seat)

    def _lose(self, seat: _Seat, why: str) -> None:
        """Put a worker's stretch back, and another worker in its place.

        Raises:
            AgentGymError: If the stretch has cost too many workers, or none is left.
        """
        load_ray().kill(seat.actor)
        seat.losses += 1
        work, seat.work = seat.work, None
        if work is not None:
            work.losses += 1
            self._queue.appendleft(work)
            if work.losses > self.max_restarts:
                tasks = ", ".join(work.stretch.tasks[:3])
                raise AgentGymError(
                    f"{work.losses} rollout workers were lost over the same groups (tasks {tasks} …), the last one "
                    f"because {why}: expected an environment and a model that survive them."
                )
        if seat.losses <= self.max_restarts:
            self.replaced += 1
            self._start(seat)
        elif not (self._busy or self._free):
            raise AgentGymError(
                f"no rollout worker is left: each was lost {seat.losses} times in a row, the last one because {why}. "
                "Its log lies in `session_latest/logs` of Ray's temporary directory, on the machine where it ran."
            )

    def _start(self, seat: _Seat) -> None:
        seat.actor = self.make(seat.number)
        seat.late_at = time.monotonic() + self.settings.start_timeout_s
        self._busy[seat.actor.ready.remote()] = seat
