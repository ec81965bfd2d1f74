"""AgentGym/ALFWorld-v0 through Gymnasium."""

import pickle

import gymnasium as gym
import pytest

import agent_gym
from agent_gym import keys
from agent_gym.errors import EpisodeError, MissingExtraError

ID = "AgentGym/ALFWorld-v0"


def test_what_the_readme_shows():
    env = gym.make(ID)
    observation, info = env.reset(seed=7)
    assert "Your task is to: " in observation
    assert info["state_key"]
    assert "look" in info["admissible_actions"]
    assert info["source"] == "generated"


def test_reward_score_and_end():
    env = gym.make(ID, split="generated_test")
    env.reset(options={"task": "generated_test/000000004"})
    rewards = []
    done = False
    while not done:
        _, reward, terminated, truncated, info = env.step(env.unwrapped.expert_action())
        rewards.append(reward)
        done = terminated or truncated
    assert terminated
    assert not truncated
    assert rewards == [0.0] * (len(rewards) - 1) + [1.0]
    assert (info["score"], info["success"], info["won"]) == (1.0, True, True)
    with pytest.raises(EpisodeError, match="reset"):
        env.step("look")


def test_fifty_steps_truncate():
    env = gym.make(ID)
    env.reset(seed=0)
    outcomes = [env.step("look") for _ in range(50)]
    assert [outcome[3] for outcome in outcomes] == [False] * 49 + [True]
    assert not any(outcome[2] for outcome in outcomes)


@pytest.mark.parametrize("command", ["", "x" * 100_000, "look\0", "\u202elook", None, 3.5, b"look", ["look"]])
def test_any_command_is_answered(command):
    env = gym.make(ID, disable_env_checker=True)
    _, before = env.reset(seed=0)
    observation, reward, terminated, truncated, info = env.step(command)
    assert (observation, reward, terminated, truncated) == ("Nothing happens.", 0.0, False, False)
    assert info["action_valid"] is False
    assert info["state_key"] == before["state_key"]


def test_rendering_shows_the_last_exchange():
    env = gym.make(ID, render_mode="ansi")
    observation, _ = env.reset(seed=0)
    assert env.render() == observation
    env.step("inventory")
    assert env.render() == "> inventory\nYou are not carrying anything."


def test_instructions_speak_the_words_of_the_game():
    for wording, line in {"put": "put OBJECT in/on PLACE", "move": "move OBJECT to PLACE"}.items():
        env = gym.make(ID, wording=wording)
        assert line in env.unwrapped.instructions
        env.reset(seed=0)
        assert line in env.unwrapped.instructions


def test_saved_through_the_time_limit():
    env = gym.make(ID, max_episode_steps=5)
    env.reset(seed=3)
    env.step("look")
    state = pickle.loads(pickle.dumps(agent_gym.save_state(env)))
    rest = [env.step("inventory") for _ in range(4)]
    assert rest[-1][3]
    other = gym.make(ID, max_episode_steps=5)
    other.reset(seed=99)
    agent_gym.restore_state(other, state)
    assert [other.step("inventory") for _ in range(4)] == rest


def test_restoring_brings_the_generator_of_tasks_back():
    env = gym.make(ID)
    env.reset(seed=3)
    state = agent_gym.save_state(env)
    following = [env.reset()[1][keys.TASK] for _ in range(3)]
    agent_gym.restore_state(env, state)
    assert [env.reset()[1][keys.TASK] for _ in range(3)] == following
    assert len(set(following)) == 3


def test_without_the_extra_the_original_engine_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "textworld", None)  # makes the import fail as if it were absent
    with pytest.raises(MissingExtraError, match=r"pip install 'agent-gym\[alfworld\]'"):
        gym.make(ID, engine="textworld").reset(seed=0)
