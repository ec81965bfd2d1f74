"""Keys of states for environments that have none."""

import hashlib
import unicodedata
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs

from agent_gym import keys
from agent_gym.errors import BadOptionError, did_you_mean

KeyFunction = Callable[[str, dict[str, Any]], str]
"""From an observation and its `info` to a key."""

_SOURCES = ("observation", "info")


class StateKey(gym.Wrapper[str, str, str, str], RecordConstructorArgs):
    """Writes `info["state_key"]`, for any environment whose observations are text.

    Group-based credit assignment compares turns that were taken in the same state, and knows them by this key. An
    environment's own key, made from its simulator's state, is better than any made from its text: the same sentence may
    describe states with different futures ("Nothing happens." appears everywhere), and one state may be described in
    many ways. Where there is no own key, `last` > 1 tells some of those states apart by how they were reached.

    Example:
        >>> import gymnasium as gym
        >>> import agent_gym
        >>> from wrappers import StateKey
        >>> env = StateKey(gym.make("AgentGym/ALFWorld-v0"))
        >>> _, start = env.reset(seed=0)
        >>> *_, first = env.step("sing")
        >>> *_, second = env.step("dance")
        >>> first["state_key"] == second["state_key"]  # both observations are "Nothing happens."
        True
        >>> env = StateKey(gym.make("AgentGym/ALFWorld-v0"), last=2)
        >>> _, start = env.reset(seed=0)
        >>> *_, first = env.step("sing")
        >>> *_, second = env.step("dance")
        >>> first["state_key"] == second["state_key"]
        False
    """

    def __init__(
        self,
        env: gym.Env[str, str],
        key: Literal["observation", "info"] | KeyFunction = "observation",
        *,
        last: int = 1,
    ) -> None:
        """Wrap `env`; a key that it already writes is replaced.

        Args:
            env: The environment.
            key: `"observation"`: from the observation's canonical text (see `canonical_text`); `"info"`: the key that
                the environment writes itself, which is of use with `last` > 1; or a function of observation and `info`.
            last: The key stands for the last `last` states of the episode (fewer at its beginning), in their order.

        Raises:
            BadOptionError: If `key` or `last` is none of these.
        """
        if not callable(key) and key not in _SOURCES:
            hint = did_you_mean(str(key), _SOURCES)
            raise BadOptionError(
                f"key must be 'observation', 'info' or a function of observation and info, got {key!r}.{hint}"
            )
        if isinstance(last, bool) or not isinstance(last, int) or last < 1:
            raise BadOptionError(
                f"last must be a number of states (1, 2, …), got {last!r}; 1 is the current state alone."
            )
        RecordConstructorArgs.__init__(self, key=key, last=last)
        gym.Wrapper.__init__(self, env)
        self._key = key
        self._recent: deque[str] = deque(maxlen=last)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start an episode; its first key stands for the first state alone."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._recent.clear()
        return observation, self._with_key(observation, info)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Step the environment and name the state reached."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, float(reward), terminated, truncated, self._with_key(observation, info)

    def get_state(self) -> tuple[str, ...]:
        """Return the keys of the last states."""
        return tuple(self._recent)

    def set_state(self, state: tuple[str, ...]) -> None:
        """Restore what `get_state` returned."""
        self._recent = deque(state, maxlen=self._recent.maxlen)

    def _with_key(self, observation: str, info: dict[str, Any]) -> dict[str, Any]:
        self._recent.append(self._key_of(observation, info))
        key = self._recent[-1] if self._recent.maxlen == 1 else _digest("\0".join(self._recent))
        return info | {keys.STATE_KEY: key}

    def _key_of(self, observation: str, info: dict[str, Any]) -> str:
        if self._key == "observation":
            return _digest(canonical_text(observation))
        if self._key == "info":
            if keys.STATE_KEY not in info:
                name = type(self.unwrapped).__name__
                raise BadOptionError(
                    f"key='info' expects an environment that writes info[{keys.STATE_KEY!r}], got {name}, "
                    "which does not; use key='observation' or a function."
                )
            return str(info[keys.STATE_KEY])
        key = self._key(observation, info)
        if not isinstance(key, str):
            raise BadOptionError(
                f"The key function must return a string, got {key!r}; str(…), repr(…) or json.dumps(…) make one."
            )
        return key


def canonical_text(text: str) -> str:
    r"""Return `text` with what carries no meaning taken out: compatibility forms, case, and the amount of white space.

    >>> canonical_text("  You see a\tMUG. ")
    'you see a mug.'
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _digest(text: str) -> str:
    # Lone surrogates, which a byte-level model can produce, have no UTF-8 form of their own.
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
