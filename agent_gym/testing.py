"""The environment contract as a test that anybody can call.

    from agent_gym.testing import check_text_env
    check_text_env("MyPackage/MyGame-v0")

It passes silently, or raises an `AssertionError` that names the sentence of the contract that does not hold.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import check_env

from agent_gym import keys
from agent_gym.core import TextEnv, restore_state, save_state
from agent_gym.errors import (
    BadOptionError,
    DataNotFoundError,
    EpisodeError,
    NoExpertError,
    UnknownSplitError,
    UnknownTaskError,
)

ALWAYS = (
    keys.STATE_KEY,
    keys.ADMISSIBLE_ACTIONS,
    keys.ACTION_VALID,
    keys.SUCCESS,
    keys.SCORE,
    keys.TASK,
    keys.SPLIT,
    keys.SOURCE,
)
"""Entries that every `info` has."""

ODD_COMMANDS = ("", " ", "\n", "\0", "no such command", "é😀\u202e", "{o.name}", "%s", "look\u00a0now", "x" * 100_000)
"""What a model that has learned nothing may say."""

_SEED = 0
"""Of chance within an episode: who plays the same commands again must meet the same chance."""


def check_text_env(env_id: str, *, episodes: int = 3, steps: int = 20, seed: int = 0, **kwargs: Any) -> None:
    """Check that a registered environment keeps the contract.

    Args:
        env_id: Id registered with Gymnasium.
        episodes: How many tasks to play.
        steps: Most steps in each.
        seed: Seeds tasks and commands.
        kwargs: Settings for `gymnasium.make`.

    Raises:
        AssertionError: If a sentence of the contract does not hold.
    """

    def make() -> gym.Env[Any, Any]:
        return gym.make(env_id, disable_env_checker=True, **kwargs)

    env = make()
    base = env.unwrapped
    assert isinstance(base, TextEnv), f"the environment must be a TextEnv, got {type(base).__name__}"
    check_env(gym.make(env_id, **kwargs).unwrapped, skip_render_check=True)
    check_tasks(base)
    check_order_and_options(make)
    rng = np.random.default_rng(seed)
    chosen = [str(base.tasks(base.split)[int(i)]) for i in rng.integers(0, len(base.tasks(base.split)), size=episodes)]
    for task in chosen:
        commands = check_episode(env, task, steps, rng)
        check_repeatable(make, task, commands)
        check_saving(env, make(), task, commands, rng)
        check_state_keys(env, task, 3 * steps, rng)
    check_odd_commands(env, chosen[0])
    check_expert(env, chosen)
    check_vector(env_id, seed, steps=min(steps, 8), **kwargs)
    env.close()


def check_tasks(base: TextEnv) -> None:
    """Splits are named, their tasks sorted, frozen and disjoint; unknown names are refused."""
    assert base.splits, "splits must name at least one split"
    assert base.instructions.strip(), "instructions must tell the rules"
    assert base.split in base.splits, "the split played must be one of splits"
    first: Sequence[str] = base.tasks(base.split)
    assert len(first) > 0, f"the split {base.split!r} must have tasks"
    head = [str(task) for task in first[:1000]]
    assert head == sorted(set(head)), "task ids must be sorted and unique"
    assert head == [str(task) for task in base.tasks(base.split)[:1000]], "the list of tasks must be frozen"
    seen: dict[str, str] = {}
    for split in base.splits:
        try:
            some = [str(task) for task in base.tasks(split)[:1000]]
        except DataNotFoundError:
            continue  # the split needs data that is not here
        for task in some:
            assert seen.setdefault(task, split) == split, (
                f"{task!r} is in {seen[task]!r} and in {split!r}: splits share none"
            )
    _raises(UnknownSplitError, lambda: base.tasks("no-such-split"), "tasks() of an unknown split")
    _raises(UnknownTaskError, lambda: base.reset(options={"task": "no/such/task"}), "reset() with an unknown task")


def check_order_and_options(make: Callable[[], gym.Env[Any, Any]]) -> None:
    """Calls in the wrong order and unknown options are refused."""
    base = make().unwrapped
    _raises(EpisodeError, lambda: base.step("look"), "step() before reset()")
    _raises(BadOptionError, lambda: base.reset(options={"tsak": "x"}), "reset() with an unknown option")


def check_episode(env: gym.Env[Any, Any], task: str, steps: int, rng: np.random.Generator) -> list[str]:
    """Play random admissible commands, which must all be valid, and return them; `info` must have every entry."""
    observation, info = env.reset(seed=_SEED, options={"task": task})
    _check_frame(observation, info, task)
    assert info[keys.ACTION_VALID] is True, "action_valid must be True after reset"
    played: list[str] = []
    for _ in range(steps):
        choices = info[keys.ADMISSIBLE_ACTIONS]
        assert choices, "admissible_actions must not be empty while the episode runs"
        played.append(str(choices[int(rng.integers(len(choices)))]))
        observation, reward, terminated, truncated, info = env.step(played[-1])
        _check_frame(observation, info, task)
        assert info[keys.ACTION_VALID] is True, f"the admissible command {played[-1]!r} must be valid"
        assert np.isfinite(float(reward)), f"rewards must be finite, got {reward!r}"
        if terminated:
            _raises(EpisodeError, lambda: env.step("look"), "step() after the end")
        if terminated or truncated:
            break
    return played


def check_repeatable(make: Callable[[], gym.Env[Any, Any]], task: str, commands: Sequence[str]) -> None:
    """The same task, seed and commands give the same observations, rewards and infos in two environments."""
    assert _play(make(), task, commands) == _play(make(), task, commands), f"{task}: two playthroughs must be equal"
    one, two = make(), make()
    assert one.reset(seed=11) == two.reset(seed=11), "the same seed must draw the same task"


def check_saving(
    env: gym.Env[Any, Any],
    other: gym.Env[Any, Any],
    task: str,
    commands: Sequence[str],
    rng: np.random.Generator,
) -> None:
    """An episode saved in the middle, pickled, and restored elsewhere goes on as if nothing had happened."""
    middle = int(rng.integers(0, len(commands) + 1))
    env.reset(seed=_SEED, options={"task": task})
    for command in commands[:middle]:
        env.step(command)
    state = pickle.loads(pickle.dumps(save_state(env)))
    expected = [env.step(command) for command in commands[middle:]]
    other.reset(seed=5)
    restore_state(other, state)
    assert [other.step(command) for command in commands[middle:]] == expected, "a restored episode must go on as before"
    restore_state(env, state)
    assert [env.step(command) for command in commands[middle:]] == expected, (
        "an episode must restore where it was saved"
    )


def check_state_keys(env: gym.Env[Any, Any], task: str, steps: int, rng: np.random.Generator) -> None:
    """Where a random walk meets a key again, the same commands are admissible, and a few of them lead to the same.

    The same is the observation, the reward, whether the episode ends, the key, and the score unless it ends there: a
    final score may count what was done on the way.

    Where there is chance they must lead to the same with the same draws, for which both states are given one generator:
    equal keys then imply equal distributions of futures.
    """
    base = env.unwrapped
    assert isinstance(base, TextEnv)
    _, info = env.reset(seed=_SEED, options={"task": task})
    met: dict[str, list[tuple[tuple[str, ...], dict[str, Any]]]] = {}
    for _ in range(steps):
        choices = info[keys.ADMISSIBLE_ACTIONS]
        met.setdefault(info[keys.STATE_KEY], []).append((choices, base.get_state()))
        _, _, terminated, truncated, info = env.step(str(choices[int(rng.integers(len(choices)))]))
        if terminated or truncated:
            _, info = env.reset(options={"task": task})
    for key, states in met.items():
        (first, one), (last, other) = states[0], states[-1]
        assert first == last, (
            f"{key!r} stands for states with different admissible actions: put what differs into the key"
        )
        for command in [str(first[int(i)]) for i in rng.integers(len(first), size=min(5, len(first)))]:
            outcomes = [_outcome(env, state, command) for state in (one, other | {"random": one["random"]})]
            assert outcomes[0] == outcomes[1], (
                f"{key!r} stands for states in which {command!r} does different things: put what differs into the key, "
                "or let _get_state keep what it forgets"
            )


def _outcome(env: gym.Env[Any, Any], state: dict[str, Any], command: str) -> tuple[Any, ...]:
    base = env.unwrapped
    assert isinstance(base, TextEnv)
    base.set_state(state)
    observation, reward, terminated, truncated, info = base.step(command)
    score = None if terminated or truncated else info[keys.SCORE]
    return observation, reward, terminated, truncated, info[keys.STATE_KEY], score


def check_odd_commands(env: gym.Env[Any, Any], task: str) -> None:
    """Whatever text comes, nothing crashes, and what is not understood changes no state key."""
    for command in (*ODD_COMMANDS, None, 7, b"look"):
        _, before = env.reset(options={"task": task})
        _, _, _, _, info = env.unwrapped.step(command)
        if info[keys.ACTION_VALID] is False:
            assert info[keys.STATE_KEY] == before[keys.STATE_KEY], (
                f"the invalid command {command!r:.40} must change nothing"
            )


def check_expert(env: gym.Env[Any, Any], tasks: Sequence[str]) -> None:
    """The expert, if there is one, solves at least one of the tasks; asking it twice gives the same command."""
    base = env.unwrapped
    assert isinstance(base, TextEnv)
    try:
        base.make_expert()
    except NoExpertError:
        return
    solved = 0
    for task in tasks:
        env.reset(seed=_SEED, options={"task": task})
        ended = False
        while not ended:
            command = base.expert_action()
            assert base.expert_action() == command, "asking the expert twice must give the same command"
            _, _, terminated, truncated, info = env.step(command)
            ended = terminated or truncated
        solved += bool(info[keys.SUCCESS])
    assert solved > 0, f"the expert must solve at least one of {list(tasks)}"


def check_vector(env_id: str, seed: int, *, steps: int, num_envs: int = 3, **kwargs: Any) -> None:
    """The in-process vector environment, Gymnasium's sync one and its async one agree in everything they return."""
    makers: dict[str, dict[str, Any]] = {
        "vector_entry_point": {},
        "sync": {},
        "async": {"vector_kwargs": {"shared_memory": False}},
    }
    transcripts = {}
    for mode, extra in makers.items():
        vector = gym.make_vec(env_id, num_envs, vectorization_mode=mode, **extra, **kwargs)
        rng = np.random.default_rng(seed)
        observations, infos = vector.reset(seed=seed)
        frames: list[Any] = [(tuple(observations), _plain(infos))]
        for _ in range(steps):
            lists = infos[keys.ADMISSIBLE_ACTIONS]
            # Where an episode has ended there may be nothing to choose; the next step resets it, whatever it is told.
            commands = tuple(str(choices[int(rng.integers(len(choices)))]) if choices else "" for choices in lists)
            observations, rewards, terminated, truncated, infos = vector.step(commands)
            frames.append(
                (tuple(observations), rewards.tolist(), terminated.tolist(), truncated.tolist(), _plain(infos))
            )
        vector.close()
        transcripts[mode] = frames
    for mode, frames in transcripts.items():
        assert frames == transcripts["sync"], f"{mode} must give what sync gives, bit for bit"


def _play(env: gym.Env[Any, Any], task: str, commands: Sequence[str]) -> list[Any]:
    return [env.reset(seed=_SEED, options={"task": task}), *(env.step(command) for command in commands)]


def _check_frame(observation: Any, info: dict[str, Any], task: str) -> None:
    assert isinstance(observation, str), f"the observation must be a string, got {type(observation).__name__}"
    missing = [key for key in ALWAYS if key not in info]
    assert not missing, f"info must have {missing}"
    assert info[keys.TASK] == task, f"info['task'] must be the task being played, got {info[keys.TASK]!r}"
    assert isinstance(info[keys.STATE_KEY], str), "state_key must be a string"
    assert info[keys.STATE_KEY], "state_key must not be empty"
    commands = info[keys.ADMISSIBLE_ACTIONS]
    assert isinstance(commands, tuple), "admissible_actions must be a tuple"
    assert list(commands) == sorted(commands), "admissible_actions must be sorted"
    assert 0.0 <= info[keys.SCORE] <= 1.0, f"score must lie between 0 and 1, got {info[keys.SCORE]!r}"
    assert (info[keys.SCORE] == 1.0) == bool(info[keys.SUCCESS]), "score must be 1 exactly when the task is solved"


def _plain(value: Any) -> Any:
    """Return nested arrays as lists, so that they can be compared."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


def _raises(kind: type[Exception], call: Callable[[], object], what: str) -> None:
    try:
        call()
    except kind as error:
        message = str(error)
    else:
        raise AssertionError(f"{what} must raise {kind.__name__}")
    assert message, f"{what} must say what was expected"
