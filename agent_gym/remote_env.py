"""Stand-ins for environments in worker processes, and how a VectorEnv over them has all workers at work at once."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from agent_gym.errors import BadOptionError
from agent_gym.vector import Frame

if TYPE_CHECKING:
    from agent_gym.workers import WorkerSlots


class RemoteEnv(gym.Env[Any, Any]):
    """Stands for an environment in a worker process; frames that were fetched ahead are handed out first."""

    def __init__(self, slots: WorkerSlots, slot: int, about: dict[str, Any]) -> None:
        """Stand for the environment of `slot`."""
        self.observation_space, self.action_space = about["observation_space"], about["action_space"]
        self.metadata, self.render_mode = about["metadata"], about["render_mode"]
        self.fetched: deque[Frame] = deque()
        self._slots, self._slot = weakref.proxy(slots), slot

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        if not self.fetched:
            self.fetched.extend(raised(self._slots.start_with([self._slot], [options], [seed])))
        frame = self.fetched.popleft()
        return frame.observation, frame.info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step the environment."""
        if not self.fetched:
            self.fetched.extend(self._slots.step([self._slot], [action]))
        frame = self.fetched.popleft()
        return frame.observation, frame.reward, frame.terminated, frame.truncated, frame.info

    def render(self) -> Any:
        """Return what the bare environment renders."""
        return self._slots.call(self._slot, "render")

    @property  # type: ignore[misc]  # it can't be set from here
    def np_random(self) -> np.random.Generator:
        """A copy of the generator; to draw from it changes nothing there."""
        generator: np.random.Generator = self._slots.get(self._slot, "np_random")[1]
        return generator

    @property
    def np_random_seed(self) -> int:
        """The seed of the generator."""
        return int(self._slots.get(self._slot, "np_random_seed")[1])

    def set_wrapper_attr(self, name: str, value: Any, *, force: bool = True) -> bool:
        """Refuse: what is set in a worker would be forgotten with it, when another takes its place.

        Raises:
            BadOptionError: Always.
        """
        del force
        raise BadOptionError(
            f"expected settings when environments in worker processes are made, got {name}={value!r} for one that is "
            "there: make new ones, or do without workers."
        )

    def __getattr__(self, name: str) -> Any:
        """Return a public attribute of the bare environment; of a method, a function that calls it there."""
        if name.startswith("_"):
            raise AttributeError(name)
        is_method, value = self._slots.get(self._slot, name)
        if not is_method:
            return value
        return lambda *arguments: self._slots.call(self._slot, name, *arguments)


class Fetcher:
    """Fetches ahead what a VectorEnv, which asks its environments one after the other, is about to ask for."""

    def __init__(self, slots: WorkerSlots) -> None:
        """Fetch for the stand-ins of `slots`."""
        self._slots = slots

    def starts(self, seed: int | Sequence[int | None] | None, options: dict[str, Any] | None) -> None:
        """Have all workers start at once what `reset` of the VectorEnv, called like this, will ask for."""
        self._forget()
        options = dict(options) if options is not None else None
        mask = options.pop("reset_mask", None) if options is not None else None
        number = self._slots.num_slots
        seeds = [seed + place for place in range(number)] if isinstance(seed, int) else seed
        seeds = [None] * number if seeds is None else seeds
        if len(seeds) != number or (mask is not None and np.shape(mask) != (number,)):
            return  # the VectorEnv refuses it, in better words
        places = list(range(number)) if mask is None else np.flatnonzero(mask).tolist()
        self._start(places, options, [seeds[place] for place in places])

    def steps(self, texts: Sequence[str], mode: AutoresetMode, ended: NDArray[np.bool_]) -> None:
        """Have all workers do at once what `step` of the VectorEnv will ask for, starts of ended episodes included."""
        self._forget()
        if mode is AutoresetMode.DISABLED and ended.any():
            return  # the VectorEnv refuses it
        starts = [int(place) for place in np.flatnonzero(ended)] if mode is AutoresetMode.NEXT_STEP else []
        steps = [place for place in range(self._slots.num_slots) if place not in starts]
        self._start(starts, None, [None] * len(starts))
        self._hand_out(steps, self._slots.step_each(steps, [texts[place] for place in steps]))
        if mode is AutoresetMode.SAME_STEP:
            last = [(place, self._slots.envs[place].fetched[0]) for place in steps]
            over = [place for place, frame in last if frame.terminated or frame.truncated]
            self._start(over, None, [None] * len(over))

    def _start(self, places: list[int], options: dict[str, Any] | None, seeds: Sequence[int | None]) -> None:
        self._hand_out(places, self._slots.start_with(places, [options] * len(places), seeds))

    def _hand_out(self, places: Sequence[int], outcomes: Sequence[Frame | Exception]) -> None:
        for place, frame in zip(places, raised(outcomes), strict=True):
            self._slots.envs[place].fetched.append(frame)

    def _forget(self) -> None:
        for env in self._slots.envs:
            env.fetched.clear()  # nothing is left but after an error


def raised(outcomes: Sequence[Any]) -> list[Any]:
    """Return the outcomes, or raise the first exception among them."""
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return list(outcomes)
