"""What runs in a worker process of `agent_gym.workers`: environments, and requests for them, one after the other.

It ends when the process that started it does: then its end of the connection is closed, which a thread of its own
notices even while an engine is busy or hangs.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import cloudpickle
import gymnasium as gym

from agent_gym.vector import Frame


class Replay(NamedTuple):
    """An episode so far: how it was started, and what was said."""

    options: dict[str, Any] | None
    seed: int | None
    random_state: Mapping[str, Any] | None
    """Of the environment's `np_random` before the start, where no seed was given."""
    texts: tuple[str, ...]


class Request(NamedTuple):
    """Something to do in a slot, after its episode has been brought back if need be."""

    slot: int
    replay: Replay | None
    what: str
    """start, step, get or call."""
    arguments: tuple[Any, ...]


class Reply(NamedTuple):
    """What came of a request; an exception where it was not carried out."""

    done: bool
    value: Any
    replayed: Frame | None = None


class Worker:
    """The environments of one worker process, by slot."""

    def __init__(self, recipes: dict[int, bytes]) -> None:
        """Make them, from pickled functions."""
        made = {recipe: cloudpickle.loads(recipe) for recipe in set(recipes.values())}
        self.envs: dict[int, gym.Env[Any, Any]] = {slot: made[recipe]() for slot, recipe in recipes.items()}

    def about(self) -> dict[str, Any]:
        """Return what the other side shows of the environments."""
        env = next(iter(self.envs.values()))
        return {name: getattr(env, name) for name in ("observation_space", "action_space", "metadata", "render_mode")}

    def answer(self, request: Request) -> Reply:
        """Carry out a request; what the environment raises is the answer."""
        env, replayed = self.envs[request.slot], None
        try:
            if request.replay is not None:
                replayed = _replay(env, request.replay)
            return Reply(True, getattr(self, f"_{request.what}")(env, *request.arguments), replayed)
        except Exception as error:  # noqa: BLE001  whatever an environment raises is raised on the other side
            return Reply(False, _portable(error), replayed)

    def _start(
        self, env: gym.Env[Any, Any], options: dict[str, Any] | None, seed: int | None
    ) -> tuple[Frame, Mapping[str, Any] | None]:
        before = None if seed is not None else env.unwrapped.np_random.bit_generator.state
        return _start(env, options, seed), before

    def _step(self, env: gym.Env[Any, Any], text: str) -> Frame:
        return _step(env, text)

    def _get(self, env: gym.Env[Any, Any], name: str) -> tuple[bool, Any]:
        value = getattr(env.unwrapped, name)
        return callable(value), None if callable(value) else value

    def _call(self, env: gym.Env[Any, Any], name: str, arguments: tuple[Any, ...]) -> Any:
        return getattr(env.unwrapped, name)(*arguments)


def _start(env: gym.Env[Any, Any], options: dict[str, Any] | None, seed: int | None) -> Frame:
    observation, info = env.reset(seed=seed, options=options)
    return Frame(observation, 0.0, False, False, info)


def _step(env: gym.Env[Any, Any], text: str) -> Frame:
    observation, reward, terminated, truncated, info = env.step(text)
    return Frame(observation, float(reward), terminated, truncated, info)


def _replay(env: gym.Env[Any, Any], replay: Replay) -> Frame:
    if replay.random_state is not None:
        env.unwrapped.np_random.bit_generator.state = replay.random_state
    frame = _start(env, replay.options, replay.seed)
    for text in replay.texts:
        frame = _step(env, text)
    return frame


def _listen(connection: Connection, inbox: queue.SimpleQueue[bytes]) -> None:
    """Take in requests; when the other side has gone, end this process and all that its engines have started."""
    while True:
        try:
            inbox.put(connection.recv_bytes())
        except (EOFError, OSError):
            if os.getpgrp() == os.getpid():
                os.killpg(os.getpgrp(), signal.SIGKILL)
            os._exit(0)


def _portable(error: Exception) -> Exception:
    """Return an exception that survives being sent."""
    try:
        same = pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001  an exception of somebody else's may fail in any way here
        same = None
    if type(same) is type(error) and str(same) == str(error):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")


def main() -> None:
    """Serve the connection whose descriptor is the first argument, until it is closed or the word is given."""
    connection = Connection(int(sys.argv[1]))
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, inbox), daemon=True).start()
    worker: Worker | None = None
    while (message := pickle.loads(inbox.get())) is not None:
        try:
            if worker is None:
                worker = Worker(message)
                reply = Reply(True, worker.about())
            else:
                reply = worker.answer(message)
            packed = pickle.dumps(reply)
        except Exception as error:  # noqa: BLE001  of making the environments, or of pickling what they gave
            packed = pickle.dumps(Reply(False, _portable(error)))
        connection.send_bytes(packed)
    for env in worker.envs.values() if worker is not None else ():
        env.close()
