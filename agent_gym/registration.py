"""The ids that `import agent_gym` registers with Gymnasium."""

from __future__ import annotations

import gymnasium as gym

ALFWORLD = "AgentGym/ALFWorld-v0"

IDS: tuple[str, ...] = (ALFWORLD,)
"""All ids of this package, sorted."""


def register_all() -> None:
    """Register every id; doing so twice is harmless."""
    if ALFWORLD not in gym.registry:
        gym.register(
            id=ALFWORLD,
            entry_point="agent_gym.envs.alfworld.env:AlfworldEnv",
            vector_entry_point="agent_gym.envs.alfworld.env:alfworld_vector_env",
            max_episode_steps=50,
        )
