"""Keep the last observations and commands of an episode."""

from collections import deque
from typing import Any, Final

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs

from agent_gym.errors import BadOptionError
from wrappers.parse_action import COMMAND

HISTORY: Final = "history"
"""Entry of `info` written by `RememberHistory`: tuple of (observation, command) pairs, oldest first."""


class RememberHistory(gym.Wrapper[str, str, str, str], RecordConstructorArgs):
    """Puts the last `length` (observation, command) pairs of the episode into `info["history"]`, oldest first.

    A pair is an observation and the command given in answer to it, so the current observation is in none of them and
    the tuple is empty after `reset`. Over `ParseAction`, what is remembered is the command without tags and thoughts,
    and "" for an answer that carried none.

    Example:
        >>> import gymnasium as gym
        >>> import agent_gym
        >>> from wrappers import RememberHistory
        >>> env = RememberHistory(gym.make("AgentGym/ALFWorld-v0"), length=1)
        >>> _, info = env.reset(seed=0)
        >>> info["history"]
        ()
        >>> _ = env.step("sing")
        >>> *_, info = env.step("look")
        >>> info["history"]
        (('Nothing happens.', 'look'),)
    """

    def __init__(self, env: gym.Env[str, str], length: int | None = 2) -> None:
        """Wrap `env`.

        Args:
            env: The environment.
            length: Number of pairs kept; `None` keeps the whole episode.

        Raises:
            BadOptionError: If `length` is negative or not an integer.
        """
        if length is not None and (isinstance(length, bool) or not isinstance(length, int) or length < 0):
            raise BadOptionError(
                f"length must be a number of pairs (0, 1, 2, …) or None for all of them, got {length!r}."
            )
        RecordConstructorArgs.__init__(self, length=length)
        gym.Wrapper.__init__(self, env)
        self._pairs: deque[tuple[str, str]] = deque(maxlen=length)
        self._observation = ""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start an episode with an empty history."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._pairs.clear()
        self._observation = observation
        return observation, info | {HISTORY: ()}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Step the environment and remember what was answered to the observation before."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._pairs.append((self._observation, info.get(COMMAND, action)))
        self._observation = observation
        return observation, float(reward), terminated, truncated, info | {HISTORY: tuple(self._pairs)}

    def get_state(self) -> tuple[tuple[tuple[str, str], ...], str]:
        """Return the pairs and the current observation."""
        return tuple(self._pairs), self._observation

    def set_state(self, state: tuple[tuple[tuple[str, str], ...], str]) -> None:
        """Restore what `get_state` returned."""
        pairs, self._observation = state
        self._pairs = deque(pairs, maxlen=self._pairs.maxlen)
