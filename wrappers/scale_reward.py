"""Multiply rewards by a constant."""

import math
from typing import Any

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs

from agent_gym.errors import BadOptionError


class ScaleReward(gym.Wrapper[str, str, str, str], RecordConstructorArgs):
    """Multiplies every reward by `scale`; `info["score"]` and `info["success"]` stay as they are.

    Environments here pay 1 for success. A recipe whose other constants were tuned for another scale (the GiGPO paper
    pays 10 and charges 0.1 for an invalid answer) gets it from this wrapper.

    Example:
        >>> import gymnasium as gym
        >>> import agent_gym
        >>> from wrappers import ScaleReward
        >>> env = ScaleReward(gym.make("AgentGym/ALFWorld-v0"), 10.0)
        >>> _ = env.reset(seed=0)
        >>> terminated = False
        >>> while not terminated:
        ...     _, reward, terminated, truncated, _ = env.step(env.unwrapped.expert_action())
        >>> reward
        10.0
    """

    def __init__(self, env: gym.Env[str, str], scale: float) -> None:
        """Wrap `env`.

        Raises:
            BadOptionError: If `scale` is not a finite number.
        """
        if isinstance(scale, bool) or not isinstance(scale, (int, float)) or not math.isfinite(scale):
            raise BadOptionError(
                f"scale must be a finite number, got {scale!r}; pass 1.0 to leave rewards as they are."
            )
        RecordConstructorArgs.__init__(self, scale=scale)
        gym.Wrapper.__init__(self, env)
        self.scale = float(scale)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Step the environment and scale what it pays."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, float(reward) * self.scale, terminated, truncated, info

    def get_state(self) -> None:
        """Return `None`: this wrapper remembers nothing."""

    def set_state(self, state: None) -> None:
        """Do nothing; see `get_state`."""
