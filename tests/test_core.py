"""What every text environment does by itself; the contract over all ids is in `test_every_env.py`."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import CustomSpaceError

import agent_gym
from agent_gym.envs.alfworld.env import AlfworldEnv
from agent_gym.errors import BadOptionError, StateError
from agent_gym.registration import IDS
from agent_gym.spaces import FreeText

ID = "AgentGym/ALFWorld-v0"


def test_free_text_holds_any_script_but_only_strings():
    space = FreeText(10)
    assert "" in space
    assert "déjà vu 😀" in space
    assert "12345678901" not in space
    assert 3 not in space
    assert FreeText(10) == FreeText(10) != FreeText(11)


def test_samples_are_repeatable_and_inside():
    one, two = FreeText(seed=4), FreeText(seed=4)
    samples = [one.sample() for _ in range(50)]
    assert samples == [two.sample() for _ in range(50)]
    assert all(sample in one for sample in samples)
    assert len(set(samples)) > 40


def test_shared_memory_is_refused_not_silently_cut():
    with pytest.raises(ValueError, match="shared_memory=False") as caught:
        gym.make_vec(ID, 2, vectorization_mode="async")
    assert isinstance(caught.value.__cause__, CustomSpaceError)


def test_reset_draws_by_seed_and_goes_on_by_itself():
    env = gym.make(ID)
    first = env.reset(seed=5)[1]["task"]
    second, third = env.reset()[1]["task"], env.reset()[1]["task"]
    assert len({first, second, third}) == 3
    assert env.reset(seed=5)[1]["task"] == first
    assert env.reset()[1]["task"] == second


def test_the_global_random_state_plays_no_part():
    np.random.seed(0)
    one = gym.make(ID).reset(seed=5)
    np.random.seed(1)
    assert gym.make(ID).reset(seed=5) == one


@pytest.mark.parametrize("options", [{"tsak": "x"}, {"task": 3}, {"task": ["a"]}])
def test_bad_reset_options(options):
    with pytest.raises(BadOptionError):
        gym.make(ID).reset(options=options)


def test_states_fit_only_where_they_come_from():
    env = gym.make(ID)
    env.reset(seed=0)
    state = agent_gym.save_state(env)
    with pytest.raises(StateError, match="same wrappers"):
        agent_gym.restore_state(gym.wrappers.TimeLimit(env, 5), {"wrapper": "Other", "own": None, "env": state})
    with pytest.raises(StateError, match="get_state"):
        env.unwrapped.set_state({"task": "x"})
    with pytest.raises(StateError, match="can't be saved"):
        agent_gym.save_state(gym.wrappers.TransformReward(env, lambda reward: reward))


def test_a_misspelt_setting_is_met_with_the_nearest():
    with pytest.raises(BadOptionError, match=r"AlfworldEnv has no setting 'splitt': .* Did you mean 'split'\?"):
        gym.make(ID, splitt="generated_test")
    with pytest.raises(BadOptionError, match="Did you mean 'max_episode_steps'"):
        gym.make(ID, max_episode_step=3)
    with pytest.raises(BadOptionError, match="Did you mean 'engine'"):
        gym.make_vec(ID, num_envs=2, engin="native")


@pytest.mark.parametrize("env_id", IDS)
def test_every_environment_suggests_a_setting(env_id):
    with pytest.raises(BadOptionError, match=r"has no setting 'splitt': .* Did you mean 'split'\?"):
        gym.make(env_id, splitt="train")


def test_an_environment_that_takes_any_setting_takes_any():
    class Anything(AlfworldEnv):
        def __init__(self, **settings):
            super().__init__(split=settings["part"])

    assert Anything(part="generated_test").split == "generated_test"
