import math

import gymnasium as gym
import pytest

from agent_gym import restore_state, save_state
from agent_gym.errors import BadOptionError
from wrappers import ScaleReward


def test_scale_reward_multiplies_what_is_paid_and_nothing_else(corridor):
    env = ScaleReward(corridor, 10)
    env.reset(options={"task": "train/2"})
    assert env.step("east")[1] == 0.0
    _, reward, terminated, _, info = env.step("east")
    assert (reward, terminated, info["score"], info["success"]) == (10.0, True, 1.0, True)


def test_scale_reward_on_a_strangers_environment(echo):
    env = ScaleReward(echo, -0.5)
    env.reset()
    assert env.step("hello")[1] == -0.25


@pytest.mark.parametrize("scale", [math.inf, math.nan, "10", None, True])
def test_scale_reward_refuses_what_is_no_factor(corridor, scale):
    with pytest.raises(BadOptionError, match="finite number"):
        ScaleReward(corridor, scale)


def test_scale_reward_is_saved_and_restored(corridor):
    env = ScaleReward(corridor, 10)
    env.reset(options={"task": "train/2"})
    env.step("east")
    state = save_state(env)
    first = env.step("east")
    restore_state(env, state)
    assert env.step("east") == first


def test_scale_reward_is_made_again_from_its_spec(corridor):
    spec = ScaleReward(corridor, 10).spec
    assert spec is not None
    again = gym.make(spec)
    again.reset(options={"task": "train/2"})
    again.step("east")
    assert again.step("east")[1] == 10.0
