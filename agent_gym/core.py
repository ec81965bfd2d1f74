"""The environment contract: a Gymnasium environment in which observations and actions are text and tasks have names."""

from __future__ import annotations

import abc
import copy
import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ParamSpec, Protocol, Self, TypeVar

import gymnasium as gym
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

from agent_gym import keys
from agent_gym.errors import BadOptionError, EpisodeError, StateError, UnknownSplitError, did_you_mean
from agent_gym.spaces import FreeText

P = ParamSpec("P")
T = TypeVar("T")


class Expert(Protocol):
    """A policy that knows one family of environments; one object plays one episode.

    It is told everything that happened, whoever chose the commands, so it can take over in the middle of an episode.
    """

    def observe(self, command: str | None, observation: str) -> None:
        """Take in one observation and the command that led to it (`None` for the first observation)."""

    def act(self) -> str:
        """Return the command it would play now; asking twice gives the same answer."""


class TextEnv(gym.Env[str, str], abc.ABC):
    """Base class of all environments here.

    A subclass says which splits and tasks exist and how an episode starts and goes on; this class keeps the contract:
    seeding through `np_random` only, drawing and naming of tasks, the order of calls, the shape of `info`, saving and
    restoring.

    The same (task, seed) gives the same start in every process. Within one environment, `reset(seed=s)` draws the same
    task each time and
    `reset()` draws the next one.

    Attributes:
        split: Split that tasks are drawn from when `reset` names none.
        splits: Names of all splits; set by the subclass before it calls `super().__init__`.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012  as in every gym.Env
    splits: tuple[str, ...] = ()

    def __new__(cls, *args: Any, **settings: Any) -> Self:
        """Refuse a setting that the environment does not have, in better words than Python's, whoever makes it.

        Raises:
            BadOptionError: With the settings that there are, and the one that may be meant.
        """
        _check_settings(cls.__name__, _settings_of(cls), settings)
        return super().__new__(cls)

    def __init__(self, *, split: str, render_mode: str | None = None) -> None:
        """Set up spaces and the split.

        Raises:
            UnknownSplitError: If `split` is not one of `splits`.
            BadOptionError: If `render_mode` is not offered.
        """
        self.observation_space = FreeText()
        self.action_space = FreeText()
        self._check_split(split)
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise BadOptionError(
                f"render_mode must be one of {self.metadata['render_modes']} or None, got {render_mode!r}."
            )
        self.split = split
        self.render_mode = render_mode
        self._task: str | None = None
        self._ended = False
        self._transcript: list[tuple[str | None, str]] = []
        self._expert: Expert | None = None
        self._expert_seen = 0

    # What a subclass provides -----------------------------------------------------------------------------------------

    @property
    @abc.abstractmethod
    def instructions(self) -> str:
        """The rules and commands, told to an agent that has never seen the environment; prompts are made from it."""

    @abc.abstractmethod
    def tasks(self, split: str) -> Sequence[str]:
        """Return the sorted, frozen ids of a split's tasks; splits share none. Long lists may be lazy.

        Raises:
            UnknownSplitError: If there is no such split.
        """

    @abc.abstractmethod
    def _start(self, task: str) -> tuple[str, dict[str, Any]]:
        """Start `task` and return the first observation and `info`, without the entries `TASK` and `ACTION_VALID`."""

    @abc.abstractmethod
    def _act(self, command: str) -> tuple[str, float, bool, dict[str, Any]]:
        """Carry out a command; return observation, reward, whether it ended the episode, and `info` without `TASK`."""

    @abc.abstractmethod
    def _get_state(self) -> Any:
        """Return what `_set_state` needs to restore the simulator; it must pickle and must not change afterwards."""

    @abc.abstractmethod
    def _set_state(self, state: Any) -> None:
        """Restore the simulator."""

    @abc.abstractmethod
    def make_expert(self) -> Expert:
        """Return a fresh expert for one episode; it is told observations only."""

    # The contract -----------------------------------------------------------------------------------------------------

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Seeds `np_random`, which draws the task when `options` names none.
            options: `{"task": id}` plays that task, of whatever split.

        Raises:
            BadOptionError: If `options` holds another key.
            UnknownTaskError: If there is no such task.
        """
        super().reset(seed=seed)
        task = self._wanted_task(options)
        if task is None:
            ids = self.tasks(self.split)
            if not ids:
                raise UnknownSplitError(
                    f"Split {self.split!r} has no tasks: expected at least one; choose another of {self.splits}."
                )
            task = ids[int(self.np_random.integers(len(ids)))]
        self._task = None  # a failing start leaves no half-started episode
        observation, info = self._start(task)
        self._task = task
        self._ended = False
        self._transcript = [(None, observation)]
        self._expert = None
        info[keys.TASK] = task
        info[keys.ACTION_VALID] = True
        return observation, info

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Carry out one command; one that is not understood costs a step and changes nothing.

        Raises:
            EpisodeError: Before the first `reset`, and after the episode has terminated.
        """
        if self._task is None:
            raise EpisodeError("step() was called before reset(): expected a started episode; call reset() first.")
        if self._ended:
            raise EpisodeError(
                "step() was called after the episode had terminated: call reset() to start the next one."
            )
        command = action if isinstance(action, str) else ""
        observation, reward, terminated, info = self._act(command)
        self._ended = terminated
        self._transcript.append((command, observation))
        info[keys.TASK] = self._task
        return observation, reward, terminated, False, info

    def expert_action(self) -> str:
        """Return the expert's next command, whoever played the steps so far.

        Raises:
            EpisodeError: Before the first `reset`.
        """
        if self._task is None:
            raise EpisodeError(
                "expert_action() was called before reset(): expected a started episode; call reset() first."
            )
        if self._expert is None:
            self._expert, self._expert_seen = self.make_expert(), 0
        for command, observation in self._transcript[self._expert_seen :]:
            self._expert.observe(command, observation)
        self._expert_seen = len(self._transcript)
        return self._expert.act()

    def get_state(self) -> dict[str, Any]:
        """Return the whole episode so far; it pickles, and later steps do not change it.

        Raises:
            EpisodeError: Before the first `reset`.
        """
        if self._task is None:
            raise EpisodeError(
                "get_state() was called before reset(): there is no episode to save; call reset() first."
            )
        return {
            "task": self._task,
            "ended": self._ended,
            "transcript": tuple(self._transcript),
            "random": copy.deepcopy(self.np_random.bit_generator.state),
            "simulator": self._get_state(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to a saved episode, of any task of this environment.

        Raises:
            StateError: If `state` was not made by `get_state`.
        """
        missing = {"task", "ended", "transcript", "random", "simulator"} - (
            set(state) if isinstance(state, dict) else set()
        )
        if missing:
            raise StateError(
                f"Expected a state made by get_state(), got one without {sorted(missing)}; save the episode again."
            )
        task, self._task = self._task, None  # a failing restore leaves no half-restored episode
        if state["task"] != task:
            self._start(state["task"])
        self._set_state(state["simulator"])
        self._task = state["task"]
        self._ended = state["ended"]
        self._transcript = list(state["transcript"])
        self._expert = None
        self.np_random.bit_generator.state = copy.deepcopy(state["random"])

    def render(self) -> str | None:
        """Return the last command and observation as text in render mode `"ansi"`, else `None`."""
        if self.render_mode != "ansi" or not self._transcript:
            return None
        command, observation = self._transcript[-1]
        return observation if command is None else f"> {command}\n{observation}"

    def _wanted_task(self, options: dict[str, Any] | None) -> str | None:
        for name in options or {}:
            if name != "task":
                raise BadOptionError(
                    f"reset(options=…) takes only 'task', got {name!r}.{did_you_mean(str(name), ['task'])}"
                )
        task = (options or {}).get("task")
        if task is not None and not isinstance(task, str):
            raise BadOptionError(
                f"options['task'] must be a task id (a string), got {task!r}; env.unwrapped.tasks(split) lists them."
            )
        return task

    def _check_split(self, split: str) -> None:
        if split not in self.splits:
            raise UnknownSplitError(
                f"split must be one of {list(self.splits)}, got {split!r}.{did_you_mean(str(split), self.splits)}"
            )


def with_known_settings(creator: Callable[P, T]) -> Callable[P, T]:
    """Make a function that makes environments refuse unknown settings as `TextEnv` does: a decorator.

    Its entry point is then as helpful as a class: `BadOptionError` with the nearest name, not Python's `TypeError`.
    """

    @functools.wraps(creator)
    def create(*args: P.args, **settings: P.kwargs) -> T:
        _check_settings(creator.__name__, _settings_of(creator), settings)
        return creator(*args, **settings)

    return create


@functools.lru_cache(maxsize=256)
def _settings_of(creator: Callable[..., Any]) -> tuple[str, ...] | None:
    """Names that a class's constructor or a function takes; `None` if it takes any."""
    takes = creator.__init__ if isinstance(creator, type) else creator  # type: ignore[misc]  # looked at, not called
    parameters = list(inspect.signature(takes).parameters.values())[1 if isinstance(creator, type) else 0 :]
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return tuple(parameter.name for parameter in parameters)


def _check_settings(what: str, known: tuple[str, ...] | None, settings: Iterable[str]) -> None:
    for name in settings:
        if known is not None and name not in known:
            hint = did_you_mean(name, (*known, "max_episode_steps"))
            raise BadOptionError(f"{what} has no setting {name!r}: expected one of {list(known)}.{hint}")


# Saving through wrappers ----------------------------------------------------------------------------------------------

_GYMNASIUM_STATE = {
    TimeLimit: ("_elapsed_steps",),
    OrderEnforcing: ("_has_reset",),
    PassiveEnvChecker: ("checked_reset", "checked_step", "checked_render"),
}
"""The attributes in which Gymnasium's own wrappers keep what they know about the episode."""


def save_state(env: gym.Env[Any, Any]) -> dict[str, Any]:
    """Return the state of an environment through all its wrappers; each nests its own, and the whole pickles.

    A wrapper takes part by having `get_state()` and `set_state(state)` for what it knows itself; a wrapper that has no
    state of its own returns `None`.

    Raises:
        StateError: If a wrapper has neither those methods nor a known form.
    """
    if isinstance(env, gym.Wrapper):
        own: Any
        if type(env) in _GYMNASIUM_STATE:
            own = {name: getattr(env, name) for name in _GYMNASIUM_STATE[type(env)] if hasattr(env, name)}
        elif hasattr(type(env), "get_state"):
            own = env.get_state()  # type: ignore[attr-defined]  # the line above has looked
        else:
            raise StateError(
                f"The wrapper {type(env).__name__} can't be saved: expected get_state() and set_state(state); add them."
            )
        return {"wrapper": type(env).__name__, "own": own, "env": save_state(env.env)}
    if not isinstance(env, TextEnv):
        raise StateError(f"{type(env).__name__} can't be saved: expected a TextEnv.")
    return env.get_state()


def restore_state(env: gym.Env[Any, Any], state: dict[str, Any]) -> None:
    """Restore what `save_state` saved into an environment with the same wrappers.

    Raises:
        StateError: If the wrappers are not the same.
    """
    if isinstance(env, gym.Wrapper):
        if state.get("wrapper") != type(env).__name__:
            raise StateError(
                f"Expected the state of a {type(env).__name__}, got one of {state.get('wrapper')}; "
                "use the same wrappers as at saving."
            )
        restore_state(env.env, state["env"])
        if type(env) in _GYMNASIUM_STATE:
            for name, value in state["own"].items():
                setattr(env, name, value)
        else:
            env.set_state(state["own"])  # type: ignore[attr-defined]  # save_state made sure that it exists
        return
    if not isinstance(env, TextEnv):
        raise StateError(f"{type(env).__name__} can't be restored: expected a TextEnv.")
    env.set_state(state)
