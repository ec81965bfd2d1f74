"""Many text environments in one process: the slot interface that trainers use, and a Gymnasium VectorEnv over it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from agent_gym.core import TextEnv
from agent_gym.errors import BadOptionError

if TYPE_CHECKING:
    from agent_gym.remote_env import Fetcher
    from agent_gym.workers import WorkerSlots


class Frame(NamedTuple):
    """What one environment gives back after a start or a step."""

    observation: str
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]


class SlotEnv(Protocol):
    """Environments by number. Any of them is started and stepped alone, so a finished episode costs nothing.

    Gymnasium's VectorEnv steps all its environments at once and hands every one the same reset options; groups of
    rollouts need one task per environment, and only live episodes stepped. Everything that can run environments, in
    this process or elsewhere, offers this.
    """

    num_slots: int

    def tasks(self, split: str) -> Sequence[str]:
        """Return the sorted task ids of a split."""

    def start(self, slots: Sequence[int], tasks: Sequence[str | None], seeds: Sequence[int | None]) -> list[Frame]:
        """Start an episode in each named slot; `None` as task draws one with the slot's seed.

        Returns:
            One frame per slot, in the order given.
        """

    def step(self, slots: Sequence[int], texts: Sequence[str]) -> list[Frame]:
        """Step the named slots, each with its text. One frame per slot, in the order given."""

    def close(self) -> None:
        """Free what the environments hold."""


class LocalSlots:
    """Slots over environments in this process."""

    def __init__(self, envs: Sequence[gym.Env[Any, Any]]) -> None:
        """Take over environments that are already wrapped."""
        if not envs:
            raise BadOptionError("Expected at least one environment, got none; pass num_envs >= 1.")
        self.envs = list(envs)
        self.num_slots = len(self.envs)

    def tasks(self, split: str) -> Sequence[str]:
        """Return the sorted task ids of a split."""
        env = self.envs[0].unwrapped
        if not isinstance(env, TextEnv):
            raise BadOptionError(f"Tasks are named by TextEnv environments only, got {type(env).__name__}.")
        return env.tasks(split)

    def start(self, slots: Sequence[int], tasks: Sequence[str | None], seeds: Sequence[int | None]) -> list[Frame]:
        """Start an episode in each named slot."""
        check_lengths(slots, tasks=tasks, seeds=seeds)
        frames = []
        for slot, task, seed in zip(slots, tasks, seeds, strict=True):
            observation, info = self.envs[slot].reset(seed=seed, options=None if task is None else {"task": task})
            frames.append(Frame(observation, 0.0, False, False, info))
        return frames

    def step(self, slots: Sequence[int], texts: Sequence[str]) -> list[Frame]:
        """Step the named slots."""
        check_lengths(slots, texts=texts)
        envs = self.envs
        frames = []
        for slot, text in zip(slots, texts, strict=True):
            observation, reward, terminated, truncated, info = envs[slot].step(text)
            frames.append(Frame(observation, float(reward), terminated, truncated, info))
        return frames

    def close(self) -> None:
        """Close every environment."""
        for env in self.envs:
            env.close()


def check_lengths(slots: Sequence[int], **others: Sequence[Any]) -> None:
    """Refuse a request that does not name one thing of each kind for each slot.

    Raises:
        BadOptionError: Which names the kind.
    """
    for name, values in others.items():
        if isinstance(values, str) or len(values) != len(slots):
            got = f"the text {values!r}" if isinstance(values, str) else f"{len(values)}"
            raise BadOptionError(f"expected one of {name} for each of {len(slots)} slots, got {got}.")


class TextVectorEnv(SyncVectorEnv):
    """Gymnasium's in-process vector environment with the slot interface beside it, over the same environments.

    With `workers` the environments are in worker processes instead, and all workers step at once (see
    `agent_gym.workers`); what is returned is the same.

    As a VectorEnv it is `SyncVectorEnv`: full batches, all three autoreset modes, `infos` merged key by key. That
    merging costs several microseconds per environment and step; `slots` goes around it. Use one or the other during an
    episode, not both.

    Attributes:
        slots: The slot interface.
    """

    def __init__(
        self,
        env_fns: Sequence[Callable[[], gym.Env[Any, Any]]],
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        workers: int = 0,
        worker_timeout_s: float = 600.0,
    ) -> None:
        """Create the environments, in this process or in as many others as `workers` says.

        Raises:
            BadOptionError: If there are none, or a number is out of range.
            WorkerError: If workers die or hang before they have made theirs.
        """
        if not env_fns:
            raise BadOptionError("Expected at least one environment, got none; pass num_envs >= 1.")
        remote: WorkerSlots | None = None
        self._fetch: Fetcher | None = None
        if workers != 0:
            from agent_gym.remote_env import Fetcher  # these two need this module
            from agent_gym.workers import WorkerSlots

            remote = WorkerSlots(env_fns, workers, timeout_s=worker_timeout_s)
            self._fetch = Fetcher(remote)
            env_fns = [functools.partial(_same, env) for env in remote.envs]
        super().__init__(env_fns, copy=False, autoreset_mode=autoreset_mode)
        self.slots: LocalSlots | WorkerSlots = remote or LocalSlots(self.envs)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode in every environment, or in those of `options["reset_mask"]`."""
        if self._fetch is not None:
            self._fetch.starts(seed, options)
        return super().reset(seed=seed, options=options)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step every environment, each with its text.

        Raises:
            BadOptionError: If there is not one text for each environment.
        """
        if isinstance(actions, str) or not hasattr(actions, "__len__") or len(actions) != self.num_envs:
            got = f"{len(actions)}" if hasattr(actions, "__len__") and not isinstance(actions, str) else repr(actions)
            raise BadOptionError(
                f"step() takes one text for each of {self.num_envs} environments, as a list or tuple, got {got}."
            )
        if self._fetch is not None:
            self._fetch.steps(actions, self.autoreset_mode, self._autoreset_envs)
        return super().step(actions)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environments, and end the workers that held them."""
        self.slots.close()

    @classmethod
    def of(
        cls,
        env_id: str,
        num_envs: int,
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        workers: int = 0,
        worker_timeout_s: float = 600.0,
        **kwargs: Any,
    ) -> TextVectorEnv:
        """Create `num_envs` environments of a registered id; `kwargs` go to `gymnasium.make`.

        Gymnasium's passive checker is left out: `check_env` has passed in the tests, and it would run in each of
        thousands of environments.
        """
        kwargs.setdefault("disable_env_checker", True)
        make = functools.partial(gym.make, registered(env_id), **kwargs)
        return cls([make] * num_envs, autoreset_mode=autoreset_mode, workers=workers, worker_timeout_s=worker_timeout_s)


def registered(env_id: str) -> str | EnvSpec:
    """Return what `gymnasium.make` takes in a process that knows nothing of what was registered in this one."""
    return gym.registry.get(env_id, env_id)


def _same(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    return env
