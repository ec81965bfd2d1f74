"""Write every episode to a file of JSON lines."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs

from agent_gym import keys
from agent_gym.errors import BadOptionError
from wrappers.parse_action import COMMAND

try:
    import fcntl
except ImportError:  # Windows; there an append of one write is all the protection that two processes have
    fcntl = None  # type: ignore[assignment]  # absent on this system

SCHEMA = 1
"""Version of the format below, written into every line."""


class RecordEpisodes(gym.Wrapper[str, str, str, str], RecordConstructorArgs):
    r"""Appends one line of JSON per episode to a file that many environments and processes may share.

    A line is written when the episode ends, or, for an episode that is abandoned, at the next `reset` or at `close`.
    It is one object:

    - `schema`: 1. `env`: the registered id, or the class's name.
    - `task`, `split`, `source`: from `info` at reset; `null` where the environment does not tell. `seed`: given to
      `reset`.
    - `status`: `"terminated"`, `"truncated"` (by a limit such as the step limit) or `"abandoned"`.
    - `success`, `score`: the last that `info` told; `null` where it never did. `return`: sum of rewards. `length`:
      steps.
    - `steps`: one object per step. `observation`, `state_key`: of the state in which the action was taken. `action`:
      what was passed to `step`, so a whole answer over `ParseAction`; `command`: what `ParseAction` found in it
      (`null` without it). `reward`; `action_valid`, `format_valid`: of this action, `null` where not told.
    - `observation`, `state_key`: of the last state.

    Text that is not ASCII is escaped, so that every string survives. An episode that is restored with `set_state` (an
    undo) goes on from there in the record too; a line that is already written stays.

    Rewards are those of the wrapped environment: over `ScaleReward` they are scaled.

    Example:
        >>> import json, pathlib, tempfile
        >>> import gymnasium as gym
        >>> import agent_gym
        >>> from wrappers import RecordEpisodes
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "episodes.jsonl"
        >>> env = RecordEpisodes(gym.make("AgentGym/ALFWorld-v0"), path)
        >>> _ = env.reset(seed=0)
        >>> _ = env.step("look")
        >>> env.close()
        >>> episode = json.loads(path.read_text())
        >>> episode["status"], episode["length"], episode["steps"][0]["action"]
        ('abandoned', 1, 'look')
    """

    def __init__(self, env: gym.Env[str, str], path: str | os.PathLike[str]) -> None:
        """Wrap `env`; the file's directory is made if it does not exist, and the file is appended to.

        Raises:
            BadOptionError: If `path` is a directory or can't be written.
        """
        self._path = Path(path)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.open("ab").close()
        except OSError as error:
            raise BadOptionError(
                f"path must be a file that can be written, got {str(path)!r} ({error.strerror})."
            ) from error
        RecordConstructorArgs.__init__(self, path=str(path))
        gym.Wrapper.__init__(self, env)
        self._head: dict[str, Any] | None = None
        self._steps: list[dict[str, Any]] = []
        self._observation = ""
        self._state_key: str | None = None
        self._result: dict[str, Any] = {}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start an episode; one that was running is written as abandoned."""
        self._write("abandoned")
        observation, info = self.env.reset(seed=seed, options=options)
        spec = self.unwrapped.spec
        self._head = {"schema": SCHEMA, "env": type(self.unwrapped).__name__ if spec is None else spec.id}
        self._head |= {name: info.get(name) for name in (keys.TASK, keys.SPLIT, keys.SOURCE)}
        self._head["seed"] = seed
        self._steps = []
        self._result = {}
        self._notice(observation, info)
        return observation, info

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Step the environment, and write the episode when this ends it."""
        before = {"observation": self._observation, "state_key": self._state_key}
        observation, reward, terminated, truncated, info = self.env.step(action)
        reward = float(reward)
        self._steps.append(
            before
            | {"action": str(action), "command": info.get(COMMAND), "reward": reward}
            | {name: _flag(info.get(name)) for name in (keys.ACTION_VALID, keys.FORMAT_VALID)}
        )
        self._notice(observation, info)
        if terminated or truncated:
            self._write("terminated" if terminated else "truncated")
        return observation, reward, terminated, truncated, info

    def close(self) -> None:
        """Write an episode that is still running, and close the environment."""
        self._write("abandoned")
        self.env.close()

    def get_state(self) -> dict[str, Any]:
        """Return the record of the running episode."""
        last = (self._observation, self._state_key, dict(self._result))
        return {"head": self._head, "steps": tuple(self._steps), "last": last}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` returned."""
        self._head, self._steps = state["head"], list(state["steps"])
        self._observation, self._state_key, result = state["last"]
        self._result = dict(result)

    def _notice(self, observation: str, info: dict[str, Any]) -> None:
        """Keep what the record needs of the state reached, and no more: some entries of `info` are long."""
        self._observation = observation
        self._state_key = info.get(keys.STATE_KEY)
        self._result |= {name: info[name] for name in (keys.SUCCESS, keys.SCORE) if name in info}

    def _write(self, status: str) -> None:
        """Append the running episode, if there is one."""
        if self._head is None:
            return
        score = self._result.get(keys.SCORE)
        episode = self._head | {
            "status": status,
            "success": _flag(self._result.get(keys.SUCCESS)),
            "score": None if score is None else float(score),
            "return": sum(step["reward"] for step in self._steps),
            "length": len(self._steps),
            "steps": self._steps,
            "observation": self._observation,
            "state_key": self._state_key,
        }
        self._head = None
        append_line(self._path, json.dumps(episode))


def append_line(path: Path, line: str) -> None:
    """Append one line to a file, whole and apart from what other threads and processes append.

    If the file's last line was cut off by a crash, the new one still starts on its own.

    Args:
        path: The file; it is made if it does not exist.
        line: ASCII text without a line end.
    """
    with path.open("ab+", buffering=0) as file, contextlib.ExitStack() as stack:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
            stack.callback(fcntl.flock, file, fcntl.LOCK_UN)
        size = file.seek(0, os.SEEK_END)
        cut = False
        if size:
            file.seek(size - 1)
            cut = file.read(1) != b"\n"
        data = memoryview((b"\n" if cut else b"") + line.encode("ascii") + b"\n")
        while data:  # an unbuffered write may take less than all of it
            data = data[file.write(data) :]


def _flag(value: Any) -> bool | None:
    return None if value is None else bool(value)
