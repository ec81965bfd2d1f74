"""What is looked at before a run loads anything: its model, its tasks, its directory, its first prompt."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent_gym import keys
from agent_gym.errors import BadOptionError, DataNotFoundError
from trainers.config import EnvConfig, TrainConfig
from trainers.players import roles_in
from trainers.policies.base import Messages
from trainers.run_files import holds_run

MakeEnvs = Callable[[EnvConfig], Any]
"""Makes the environments of a configuration, wrapped for a model, as a `TextVectorEnv`."""


def missing_data(config: TrainConfig, make_envs: MakeEnvs) -> DataNotFoundError | None:
    """Make one of a run's environments and look for its tasks; returns what says that published ones are not here.

    Raises:
        BadOptionError: If there is no such environment, setting, split or role, or what shapes by formulas has none.
    """
    from trainers.tasks import choose_tasks

    try:
        env = make_envs(replace(config.env, num_envs=1))
        slots, _, _ = choose_tasks(config, env)
        config.players.learners(getattr(slots, "roles", {}).values())
        _require_formulas(config, env)
        env.close()
    except DataNotFoundError as error:
        return error
    return None


def _require_formulas(config: TrainConfig, env: Any) -> None:
    if config.shaping.ltl is None or config.shaping.ltl.levels:
        return
    from trainers.tasks import slots_of

    split = config.env.split or str(env.envs[0].unwrapped.split)
    if keys.SPECIFICATION not in first_info(env, slots_of(env).tasks(split)):
        raise BadOptionError(
            f"shaping.ltl.levels must name formulas of the task: {config.env.id} tells none in "
            f"info[{keys.SPECIFICATION!r}]."
        )


def is_here(path: str) -> bool:
    """Whether a model's files are on this machine: its directory, what the hub's cache has of it, or a table."""
    if Path(path).exists() or path.partition(":")[0] == "tabular":
        return True
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:  # it comes with the extra `train`
        return False
    return isinstance(try_to_load_from_cache(path, "config.json"), str)


def require_model(path: str) -> None:
    """Refuse a directory that holds no model, and a path that can't be meant as the id of one on the hub.

    Raises:
        BadOptionError: If there is no such directory.
        ModelError: If it lacks weights, tokenizer or configuration.
    """
    place = Path(path)
    if not path:
        return
    if place.is_dir():
        from trainers.policies.load import check_directory
        from trainers.policies.tabular import is_tabular

        checkpoints = place / "checkpoints"
        if checkpoints.is_dir() and not (place / "config.json").exists():
            raise BadOptionError(
                f"--model names {path!r}, which is a run: name one of its checkpoints.{_models_near(checkpoints / '-')}"
            )
        for role in roles_in(path):
            require_model(str(place / role))
        if not (is_tabular(path) or roles_in(path)):
            check_directory(path)
        return
    here = place.is_absolute() or path.startswith((".", "~")) or len(place.parts) > 2 or place.exists()
    if here or (len(place.parts) == 2 and place.parent.is_dir()):
        raise BadOptionError(
            f"--model names {path!r}, "
            + ("which is no directory." if place.exists() else "and there is no such directory.")
            + _models_near(place)
        )


def _models_near(place: Path) -> str:
    """Name the models in the directory where one was looked for."""
    if not place.parent.is_dir():
        return ""
    models = sorted(str(one) for one in place.parent.iterdir() if (one / "config.json").is_file())
    return f" There is {', '.join(models[-3:])}." if models else ""


def require_output_dir(directory: Path, *, fresh: bool) -> None:
    """Refuse a place that can't be written to, and, for a `fresh` run, one that holds a run already.

    Raises:
        BadOptionError: If it is so; nothing has been written then.
    """
    existing = next((one for one in (directory, *directory.parents) if one.exists()), Path())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        what = "is a file" if existing.is_file() else "can't be written to"
        raise BadOptionError(
            f"--output-dir must be a directory to write into, got {str(directory)!r}: {existing} {what}."
        )
    if fresh and holds_run(directory):
        raise BadOptionError(
            f"{str(directory)!r} holds a run already: go on with it (--resume {directory}), or name another "
            "--output-dir."
        )


def require_no_ray(config: TrainConfig) -> None:
    """Refuse a configuration of a run on Ray where this process itself is to train.

    Raises:
        BadOptionError: If it names a cluster.
    """
    if config.ray.address:
        raise BadOptionError(
            f"ray.address must be empty where this process trains, got {config.ray.address!r}: what starts a run on "
            "Ray is `agent-gym train --ray`."
        )


def require_fit(policy: Any, env: Any, split: str) -> None:
    """Refuse a prompt that fills the model's context: every episode would end before its first turn.

    Raises:
        BadOptionError: With the number of tokens of one prompt.
    """
    from trainers.tasks import slots_of

    tasks = slots_of(env).tasks(split)
    prompt, task = first_prompt(env, tasks), tasks[0]
    for one in policy.values() if isinstance(policy, Mapping) else [policy]:
        length = len(one.codec.start(prompt))
        if length < one.context_limit:
            continue
        raise BadOptionError(
            f"the first prompt of {task} has {length:,} tokens, the model's context holds {one.context_limit:,}: "
            "take a model with a longer one, or other instructions (--env.settings instructions=TEXT)."
        )


def first_prompt(env: Any, tasks: Sequence[str]) -> Messages:
    """Return what a model is shown at the start of the first task; of a game, as the agent that begins."""
    messages: Messages = first_info(env, tasks)[keys.MESSAGES]
    return messages


def first_info(env: Any, tasks: Sequence[str]) -> Mapping[str, Any]:
    """Return `info` at the start of the first task; of a game, that of the agent that begins."""
    from trainers.tasks import agents_of, slots_of

    slots: Any = slots_of(env)
    places = list(range(agents_of(slots)))
    frames = slots.start(places, list(tasks[: len(places)]), [0] * len(places))
    if hasattr(slots, "leave"):
        slots.leave(places)
    return next(frame.info for frame in frames if not frame.info.get(keys.WAITING))
