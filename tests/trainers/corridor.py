"""A small world for the trainer's tests: the example's corridor, with prompts, and a model with few weights for it."""

from pathlib import Path
from typing import Any

import gymnasium as gym

from agent_gym import LocalSlots
from examples import locked_corridor
from trainers.config import TrainConfig, config_from_table
from wrappers import wrap_for_llm

CORRIDOR = f"{locked_corridor.__name__}:{locked_corridor.ID}"

SETTINGS = {"action_format": "bare", "max_episode_steps": 3}


def corridor(num_envs=4, context="conversation", inner=lambda env: env, **settings) -> LocalSlots:
    """Slots over corridors; `inner` wraps the bare environment."""
    made = [inner(gym.make(locked_corridor.ID, disable_env_checker=True, **settings)) for _ in range(num_envs)]
    return LocalSlots([wrap_for_llm(env, context=context, action_format="bare") for env in made])


def tiny_model(directory: Path) -> Path:
    """A model directory of transformers: one layer, random weights, bytes and a few words."""
    from trainers.policies.tiny import TinySettings, build_tiny

    texts = ["go left", "go right", "take key", "open door", "There is nothing here. You can go left or right."] * 3
    return build_tiny(directory, texts, TinySettings(hidden_size=32, layers=1, heads=2, vocabulary=300, context=1024))


def small_config(output_dir: Path, **changes) -> TrainConfig:
    """Two groups of three short episodes per iteration; `changes` are tables as in TOML."""
    table: dict[str, Any] = {
        "env": {"id": CORRIDOR, "split": "train", "num_envs": 4, "settings": SETTINGS},
        "rollout": {"groups": 2, "group_size": 3, "max_new_tokens": 5},
        "evaluation": {"split": "test", "tasks": 3, "every": 2},
        "learner": {"learning_rate": 0.01, "minibatches": 2},
        "output": {"report_to": []},
        "iterations": 4,
        "output_dir": str(output_dir),
    }
    for name, value in changes.items():
        table[name] = table.get(name, {}) | value if isinstance(value, dict) else value
    return config_from_table(table)
