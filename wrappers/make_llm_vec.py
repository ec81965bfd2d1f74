"""The usual stack of wrappers between text environments and a language model."""

import functools
import importlib
import inspect
import os
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict, Unpack

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, load_env_creator
from gymnasium.vector import AutoresetMode

from agent_gym import TextVectorEnv
from agent_gym.errors import BadOptionError, did_you_mean
from agent_gym.vector import registered
from wrappers.parse_action import ActionFormat, ParseAction
from wrappers.record_episodes import RecordEpisodes
from wrappers.remember_history import RememberHistory
from wrappers.render_prompt import Context, RenderPrompt
from wrappers.scale_reward import ScaleReward


class LlmSettings(TypedDict, total=False):
    """The settings of the stack, all optional."""

    context: Context
    """What a model is shown per turn (see `RenderPrompt`): `"conversation"` (default) or `"step"`."""
    history: int
    """Past (observation, command) pairs in step context's prompts, 2 by default; a conversation holds them anyway."""
    action_format: ActionFormat
    """Where the command stands in an answer (see `ParseAction`), `"tags"` by default."""
    require_think: bool
    """Whether an answer must begin with thoughts to be in form."""
    admissible: bool | None
    """Whether messages list the admissible commands; by default in step context only."""
    instructions: str | None
    """Replaces the system message; "" leaves it out."""
    scale: float
    """Factor on rewards, 1 by default."""
    record: str | os.PathLike[str] | None
    """File that episodes are appended to (see `RecordEpisodes`)."""


def wrap_for_llm(env: gym.Env[str, str], **settings: Unpack[LlmSettings]) -> gym.Wrapper[str, str, str, str]:
    """Wrap one environment so that it takes a model's answers and gives `info["messages"]`.

    From the inside: `ScaleReward` (if a scale is given), `ParseAction`, `RememberHistory` (in step context),
    `RenderPrompt`, `RecordEpisodes` (if a file is given).

    Example:
        >>> import gymnasium as gym
        >>> import agent_gym
        >>> from wrappers import wrap_for_llm
        >>> env = wrap_for_llm(gym.make("AgentGym/ALFWorld-v0"), context="step")
        >>> _, info = env.reset(seed=0)
        >>> _ = env.step("<action>look</action>")
        >>> *_, info = env.step("<action>sing</action>")
        >>> "[1] > look" in info["messages"][-1]["content"]
        True

    Raises:
        BadOptionError: If a setting has an unknown name or value, or the environment is not one of text.
    """
    check_text_spaces(env)
    for name in settings:
        if name not in LlmSettings.__annotations__:
            hint = did_you_mean(name, LlmSettings.__annotations__)
            raise BadOptionError(f"expected settings out of {list(LlmSettings.__annotations__)}, got {name!r}.{hint}")
    context = settings.get("context", "conversation")
    history = settings.get("history", 2)
    if isinstance(history, bool) or not isinstance(history, int) or history < 0:
        raise BadOptionError(f"history must be a number of pairs (0, 1, 2, …), got {history!r}.")
    if "scale" in settings:
        env = ScaleReward(env, settings["scale"])
    env = ParseAction(env, settings.get("action_format", "tags"), require_think=settings.get("require_think", False))
    if context == "step":
        env = RememberHistory(env, history)
    rendered = RenderPrompt(
        env, context, admissible=settings.get("admissible"), instructions=settings.get("instructions")
    )
    record = settings.get("record")
    return rendered if record is None else RecordEpisodes(rendered, record)


def make_llm_vec(
    env_id: str,
    num_envs: int,
    *,
    context: Context = "conversation",
    history: int = 2,
    action_format: ActionFormat = "tags",
    require_think: bool = False,
    admissible: bool | None = None,
    instructions: str | None = None,
    scale: float = 1.0,
    record: str | os.PathLike[str] | None = None,
    autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
    workers: int = 0,
    worker_timeout_s: float = 600.0,
    **env_kwargs: Any,
) -> TextVectorEnv:
    """Make `num_envs` environments of a registered id, each in the stack of `wrap_for_llm`.

    `metadata["context"]` of the result tells the context; a trainer compares it with its own.

    Example:
        >>> from wrappers import make_llm_vec
        >>> envs = make_llm_vec("AgentGym/ALFWorld-v0", 2, context="step", split="generated_train")
        >>> tasks = envs.slots.tasks("generated_train")[:2]
        >>> frames = envs.slots.start([0, 1], tasks, [0, 0])
        >>> [message["role"] for message in frames[0].info["messages"]]
        ['system', 'user']
        >>> [frame] = envs.slots.step([1], ["<action>look</action>"])
        >>> frame.info["format_valid"]
        True
        >>> envs.metadata["context"]
        'step'
        >>> envs.close()

    Args:
        env_id: A registered id, such as `"AgentGym/ALFWorld-v0"`.
        num_envs: Number of environments, 1 or more.
        context: What a model is shown per turn; see `RenderPrompt`.
        history: Past (observation, command) pairs in the prompts of step context; a conversation holds them anyway.
        action_format: Where the command stands in an answer; see `ParseAction`.
        require_think: Whether an answer must begin with thoughts to be in form.
        admissible: Whether messages list the admissible commands; by default in step context only.
        instructions: Replaces the system message; "" leaves it out.
        scale: Factor on rewards.
        record: File that episodes are appended to; see `RecordEpisodes`.
        autoreset_mode: For use as a VectorEnv; slots are never reset on their own.
        workers: Processes that the environments are in; 0 keeps them in this one. See `agent_gym.workers`.
        worker_timeout_s: Seconds after which a worker that gives no answer is taken for one that hangs.
        **env_kwargs: For `gymnasium.make`: the environment's own settings, such as `split`, and `max_episode_steps`.

    Raises:
        BadOptionError: If a setting has an unknown name or value, or the environment is not one of text.
        WorkerError: If worker processes can't make their environments.
        gymnasium.error.NameNotFound: If no such environment is registered.
    """
    if isinstance(num_envs, bool) or not isinstance(num_envs, int) or num_envs < 1:
        raise BadOptionError(f"num_envs must be a number of environments (1, 2, …), got {num_envs!r}.")
    check_env_settings(env_id, env_kwargs, also=LlmSettings.__annotations__)
    settings: LlmSettings = {
        "context": context,
        "history": history,
        "action_format": action_format,
        "require_think": require_think,
        "admissible": admissible,
        "instructions": instructions,
        "record": record,
    }
    if scale != 1.0:
        settings["scale"] = scale
    env_kwargs.setdefault("disable_env_checker", True)  # it would run in each of thousands of environments

    make_one = functools.partial(_make_one, registered(env_id), env_kwargs, settings)
    return TextVectorEnv(
        [make_one] * num_envs, autoreset_mode=autoreset_mode, workers=workers, worker_timeout_s=worker_timeout_s
    )


def _make_one(env_id: str | EnvSpec, env_kwargs: dict[str, Any], settings: LlmSettings) -> gym.Env[str, str]:
    return wrap_for_llm(gym.make(env_id, **env_kwargs), **settings)


def check_text_spaces(env: gym.Env[Any, Any]) -> None:
    """Refuse an environment whose observations or actions are not text.

    Raises:
        BadOptionError: Which names the space that was found.
    """
    name = env.spec.id if env.spec is not None else type(env.unwrapped).__name__
    for what, space in (("observations", env.observation_space), ("actions", env.action_space)):
        if not isinstance(space, gym.spaces.Text):
            raise BadOptionError(f"{name} is no text environment: expected {what} in a Text space, got {space}.")


def check_env_settings(env_id: str, env_kwargs: Mapping[str, Any], also: Iterable[str] = ()) -> None:
    """Refuse settings that neither `gymnasium.make` nor the environment itself takes.

    Without it a misspelt name would end in a `TypeError` of the environment's constructor. An environment whose
    constructor takes any keyword is not checked, nor is an id that is not registered (`gymnasium.make` says so better).

    Args:
        env_id: Id as for `gymnasium.make`, a module before it included.
        env_kwargs: The settings; their values are not looked at.
        also: Further names to suggest, which the caller takes itself.

    Raises:
        BadOptionError: With the names that could have been meant.
    """
    module, _, name = env_id.rpartition(":")
    if module:
        importlib.import_module(module)
    entry_point = gym.registry[name].entry_point if name in gym.registry else None
    if entry_point is None:
        return
    creator = load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point
    own = inspect.signature(creator).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in own.values()):
        return
    makes = inspect.signature(gym.make).parameters
    for setting in env_kwargs:
        if setting not in own and (setting not in makes or setting in ("id", "kwargs")):
            choices = [*also, *own]
            hint = did_you_mean(setting, choices)
            raise BadOptionError(f"{env_id} has no setting {setting!r}: expected one of {choices}.{hint}")
