"""The whole stack on the real environment."""

import functools
import json
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env

from agent_gym import restore_state, save_state
from wrappers import StateKey, make_llm_vec, wrap_for_llm

ALFWORLD = "AgentGym/ALFWorld-v0"
TASK = "generated_test/000000001"
STACKS = [{"context": "step", "history": 2}, {"context": "conversation", "action_format": "boxed"}]


def make(**settings):
    return wrap_for_llm(gym.make(ALFWORLD, disable_env_checker=True), **settings)


def answer(command, settings):
    return f"\\boxed{{{command}}}" if settings.get("action_format") == "boxed" else f"Well: <action>{command}</action>"


@pytest.mark.parametrize("settings", STACKS)
@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_the_stack_passes_gymnasiums_check(settings, tmp_path):
    check_env(
        StateKey(make(**settings, scale=10.0, record=tmp_path / "episodes.jsonl"), last=2), skip_render_check=True
    )


@pytest.mark.parametrize("settings", STACKS)
def test_the_expert_plays_through_the_stack(settings, tmp_path):
    env = make(**settings, scale=10.0, record=tmp_path / "episodes.jsonl")
    _, info = env.reset(options={"task": TASK})
    assert "Your task is to" in info["messages"][-1]["content"]
    # What the rules call a command is in the system message, and so is the form of the answer.
    assert "go to PLACE" in info["messages"][0]["content"]
    assert ("\\boxed{" if "action_format" in settings else "<action>") in info["messages"][0]["content"]
    rewards, over = [], False
    while not over:
        _, reward, over, _, info = env.step(answer(env.unwrapped.expert_action(), settings))
        rewards.append(reward)
        assert info["format_valid"]
        if settings["context"] == "step":
            assert "Your task is to" in info["messages"][-1]["content"]
    assert (sum(rewards), rewards[-1], info["score"]) == (10.0, 10.0, 1.0)
    [episode] = [json.loads(line) for line in (tmp_path / "episodes.jsonl").read_text().splitlines()]
    assert (episode["success"], episode["source"], episode["length"]) == (True, "generated", len(rewards))


@pytest.mark.parametrize("settings", STACKS)
def test_the_stack_is_saved_and_restored_at_every_step(settings):
    env = make(**settings)
    env.reset(options={"task": TASK})
    over = False
    while not over:
        saved = pickle.dumps(save_state(env))
        text = answer(env.unwrapped.expert_action(), settings)
        expected = env.step(text)
        restore_state(env, pickle.loads(saved))
        env.step("nonsense")
        other = make(**settings)
        other.reset(options={"task": "generated_test/000000002"})
        for one in (env, other):
            restore_state(one, pickle.loads(saved))
            assert one.step(text) == expected
        over = expected[2]


def plain(value):
    if isinstance(value, dict):
        return {name: plain(part) for name, part in sorted(value.items())}
    if isinstance(value, (tuple, list, np.ndarray)):
        return [plain(part) for part in value]
    return value


@pytest.mark.parametrize("settings", STACKS)
def test_the_stack_is_the_same_in_every_kind_of_vector(settings):
    wrap = functools.partial(wrap_for_llm, **settings)
    kinds = [
        make_llm_vec(ALFWORLD, 2, max_episode_steps=5, **settings),
        gym.make_vec(ALFWORLD, num_envs=2, vectorization_mode="sync", wrappers=[wrap], max_episode_steps=5),
        gym.make_vec(
            ALFWORLD,
            num_envs=2,
            vectorization_mode="async",
            wrappers=[wrap],
            vector_kwargs={"shared_memory": False},
            max_episode_steps=5,
        ),
    ]
    texts = [answer(command, settings) for command in ("look", "inventory", "sing", "go to fridge 1")]
    choices = np.random.default_rng(0).choice([*texts, "no command"], size=(12, 2))
    outcomes = []
    for envs in kinds:
        outcome: list[Any] = [envs.reset(seed=9)]
        outcome += [envs.step([str(text) for text in row]) for row in choices]
        envs.close()
        outcomes.append(plain(outcome))
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_keys_of_the_last_states_on_top_of_the_environments_own():
    env = StateKey(gym.make(ALFWORLD, disable_env_checker=True), "info", last=2)
    _, start = env.reset(options={"task": TASK})
    go = next(command for command in start["admissible_actions"] if command.startswith("go to"))
    *_, arrived = env.step(go)
    *_, stayed = env.step("sing")
    *_, stayed_again = env.step("dance")
    # The environment's own key of all three is the same; with the last two states the first differs.
    assert arrived["state_key"] != stayed["state_key"] == stayed_again["state_key"]


def test_the_stack_is_made_again_from_json(tmp_path):
    env = make(context="step", history=1, scale=2.0, record=tmp_path / "episodes.jsonl")
    assert env.spec is not None
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.reset(seed=3) == env.reset(seed=3)
    assert again.step("<action>look</action>") == env.step("<action>look</action>")
