"""Our environments behind an OpenEnv server (https://github.com/meta-pytorch/OpenEnv): HTTP and WebSocket.

Tested with openenv 0.10. Each session has an environment of its own; its client is OpenEnv's `GenericEnvClient`. See
docs/adapters.md.
"""

from __future__ import annotations

import functools
from typing import Any

import gymnasium as gym

import agent_gym  # registers the ids
from agent_gym import keys
from agent_gym.adapters.foreign import library
from agent_gym.core import TextEnv
from agent_gym.envs.diagnostic import check_count
from agent_gym.errors import BadOptionError, EpisodeError

LOOPBACK = "127.0.0.1"


def make_app(env_id: str, *, max_sessions: int = 64, **settings: Any) -> Any:
    """Return a FastAPI application that serves environments of an id.

    An action is `{"command": text}`. An observation holds `text`, `admissible_actions`, `state_key`, `task`, `success`,
    `score`, `action_valid` and `instructions`, beside OpenEnv's `reward` and `done`. `reset` takes `seed`, and
    `task=ID` or `split=NAME, index=NUMBER`. Splits and tasks are listed through OpenEnv's routes for tasks. A mistake,
    such as an unknown task, is answered with an error and the session goes on.

    OpenEnv's plain HTTP routes `/reset` and `/step` make a new environment for each request; episodes are played
    through the WebSocket, as its clients do.

    Args:
        env_id: A registered id, such as `"AgentGym/ALFWorld-v0"`.
        max_sessions: How many sessions there may be at once.
        settings: Settings of the environment.

    Raises:
        MissingExtraError: If the package is not installed.
        BadOptionError: If the environment is not one of text.
    """
    check_count("max_sessions", max_sessions, 1, 100_000)
    kinds, server = _kinds(), library("openenv.core.env_server.http_server", "openenv", "openenv")
    factory = functools.partial(kinds["environment"], env_id, settings)
    factory().close()  # a mistake is said now, not in the first session
    return server.create_fastapi_app(
        factory,
        kinds["action"],
        kinds["observation"],
        max_concurrent_envs=max_sessions,
        env_name=env_id.replace("/", "."),
        state_cls=kinds["state"],
    )


def serve(env_id: str, *, host: str = LOOPBACK, port: int = 8000, max_sessions: int = 64, **settings: Any) -> None:
    """Serve environments of an id until interrupted.

    The server asks nobody for a password: at any other host than this machine's own, whoever can reach it can play.

    Args:
        env_id: A registered id.
        host: Address to listen at.
        port: Its port.
        max_sessions: How many sessions there may be at once.
        settings: Settings of the environment.

    Raises:
        MissingExtraError: If the package is not installed.
        BadOptionError: If the environment is not one of text.
    """
    app = make_app(env_id, max_sessions=max_sessions, **settings)
    library("uvicorn", "uvicorn", "openenv").run(app, host=host, port=port, log_level="warning")


@functools.cache
def _kinds() -> dict[str, Any]:
    """Return the classes that OpenEnv wants, made when it is first needed, since its own must be there to derive from.

    Raises:
        MissingExtraError: If the package is not installed.
    """
    interfaces: Any = library("openenv.core.env_server.interfaces", "openenv", "openenv")
    types: Any = library("openenv.core.env_server.types", "openenv", "openenv")

    class TextAction(types.Action):  # type: ignore[misc]  # the base is imported late
        """One command."""

        command: str

    class TextObservation(types.Observation):  # type: ignore[misc]  # as above
        """What is to be seen, and what our `info` holds."""

        text: str
        admissible_actions: list[str]
        state_key: str
        task: str
        success: bool
        score: float
        action_valid: bool
        instructions: str = ""

    class TextState(types.State):  # type: ignore[misc]  # as above
        """Which task is played, beside OpenEnv's `episode_id` and `step_count`."""

        task: str | None = None

    class Served(_Served, interfaces.Environment):  # type: ignore[misc]  # as above
        """One session's environment."""

        SUPPORTS_CONCURRENT_SESSIONS = True
        action, observation, kept = TextAction, TextObservation, TextState

    return {"action": TextAction, "observation": TextObservation, "state": TextState, "environment": Served}


class _Served:
    """What a session does, between OpenEnv's calls and a Gymnasium environment."""

    observation: Any
    kept: Any

    def __init__(self, env_id: str, settings: dict[str, Any]) -> None:
        super().__init__()
        assert agent_gym  # imported for its ids
        self._env: gym.Env[Any, Any] = gym.make(env_id, disable_env_checker=True, **settings)
        if not isinstance(self._env.unwrapped, TextEnv):
            kind = type(self._env.unwrapped).__name__
            raise BadOptionError(f"expected an environment of text, got {env_id!r}, a {kind}.")
        self._base: TextEnv = self._env.unwrapped
        self._episode: str | None = None
        self._task: str | None = None
        self._steps = 0
        self._over = True

    def reset(
        self,
        seed: int | None = None,
        episode_id: str | None = None,
        task: str | None = None,
        split: str | None = None,
        index: int | None = None,
    ) -> Any:
        if split is not None or index is not None:
            if task is not None or split is None or index is None:
                raise BadOptionError("a task is named by task, or by split and index, not by a part or a mixture.")
            task = self.get_task(split, index)["id"]
        text, info = self._env.reset(seed=seed, options=None if task is None else {"task": task})
        self._episode, self._task, self._steps, self._over = episode_id, info[keys.TASK], 0, False
        return self._seen(text, 0.0, False, info, self._base.instructions)

    def step(self, action: Any, timeout_s: float | None = None) -> Any:
        if self._over:
            raise EpisodeError("the episode is over, or none has begun: reset starts one.")
        text, reward, terminated, truncated, info = self._env.step(action.command)
        self._steps += 1
        self._over = terminated or truncated
        return self._seen(text, float(reward), self._over, info, "")

    @property
    def state(self) -> Any:
        return self.kept(episode_id=self._episode, step_count=self._steps, task=self._task)

    def close(self) -> None:
        self._env.close()

    def list_splits(self) -> list[str]:
        return list(self._base.splits)

    def num_tasks(self, split: str) -> int:
        return len(self._base.tasks(split))

    def list_tasks(self, split: str) -> list[dict[str, Any]]:
        return self.get_task_range(split)

    def get_task(self, split: str, index: int) -> dict[str, Any]:
        check_count("index", index, 0, self.num_tasks(split) - 1)
        return {"id": str(self._base.tasks(split)[index]), "index": index}

    def get_task_range(self, split: str, start: int | None = None, stop: int | None = None) -> list[dict[str, Any]]:
        places = range(len(self._base.tasks(split)))[start:stop]
        return [self.get_task(split, place) for place in places]

    def _seen(self, text: str, reward: float, done: bool, info: dict[str, Any], instructions: str) -> Any:
        return self.observation(
            text=text,
            reward=reward,
            done=done,
            admissible_actions=list(info[keys.ADMISSIBLE_ACTIONS]),
            state_key=info[keys.STATE_KEY],
            task=info[keys.TASK],
            success=bool(info[keys.SUCCESS]),
            score=float(info[keys.SCORE]),
            action_valid=bool(info[keys.ACTION_VALID]),
            instructions=instructions,
        )
