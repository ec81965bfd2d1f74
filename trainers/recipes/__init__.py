"""Named recipes: a configuration, and what has to be made before it can run. Only here may an environment be named.

A recipe is a module, or an object in one, with `CONFIG`, a `TrainConfig`, and `prepare(config, env, directory, say)`,
which returns the configuration to run, with a model in it; and perhaps `WORK`, what its episodes are like for a plan.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

from agent_gym.errors import BadOptionError, did_you_mean
from trainers.config import TrainConfig

RECIPES = {
    "alfworld-tiny": "trainers.recipes.alfworld_tiny",
    "alfworld-long": "trainers.recipes.alfworld_long",
    "webshop-tiny": "trainers.recipes.webshop_tiny",
    "alfworld-qwen-1.5b": "trainers.recipes.qwen:ALFWORLD_1_5B",
    "alfworld-qwen-7b": "trainers.recipes.qwen:ALFWORLD_7B",
    "webshop-qwen-1.5b": "trainers.recipes.qwen:WEBSHOP_1_5B",
    "webshop-qwen-7b": "trainers.recipes.qwen:WEBSHOP_7B",
}
"""Where recipes are, by the names that the command line knows them under."""


class Recipe(Protocol):
    """What a recipe's module offers."""

    CONFIG: TrainConfig

    def prepare(self, config: TrainConfig, env: Any, directory: Path, say: Callable[[str], None]) -> TrainConfig:
        """Make what the run needs, unless it is there already.

        Args:
            config: `CONFIG` with the user's changes.
            env: The environments that it describes.
            directory: Where to put what is made.
            say: Takes lines for the user.
        """


def load_recipe(name: str) -> Recipe:
    """Return a recipe by its name.

    Raises:
        BadOptionError: If there is none of that name.
    """
    if name not in RECIPES:
        raise BadOptionError(f"recipe must be one of {list(RECIPES)}, got {name!r}.{did_you_mean(name, RECIPES)}")
    module, _, part = RECIPES[name].partition(":")
    found = importlib.import_module(module)
    return cast(Recipe, getattr(found, part) if part else found)
