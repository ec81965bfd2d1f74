"""Many environments at once: Gymnasium's interface, and slots."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import agent_gym
from agent_gym.errors import BadOptionError
from agent_gym.testing import check_vector
from agent_gym.vector import LocalSlots, TextVectorEnv

ID = "AgentGym/ALFWorld-v0"


def test_in_process_sync_and_async_agree_bit_for_bit():
    # six envs, and enough steps for episodes to end and start again (the limit is 6 steps)
    check_vector(ID, seed=3, steps=15, num_envs=6, max_episode_steps=6)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_autoreset_modes_are_those_of_gymnasium(mode):
    ours = TextVectorEnv.of(ID, 3, autoreset_mode=mode, max_episode_steps=4)
    theirs = gym.make_vec(ID, 3, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}, max_episode_steps=4)
    assert ours.metadata["autoreset_mode"] == mode
    assert ours.reset(seed=1)[0] == theirs.reset(seed=1)[0]
    for _ in range(4 if mode is AutoresetMode.DISABLED else 11):
        one, two = ours.step(("look", "inventory", "go to bed 1")), theirs.step(("look", "inventory", "go to bed 1"))
        assert one[0] == two[0]
        for left, right in zip(one[1:4], two[1:4], strict=True):
            np.testing.assert_array_equal(left, right)
        assert set(one[4]) == set(two[4])


def test_reset_mask_starts_only_some():
    vector = TextVectorEnv.of(ID, 2, autoreset_mode="Disabled", max_episode_steps=1)
    first, _ = vector.reset(seed=[1, 2])
    vector.step(("look", "look"))
    second, _ = vector.reset(seed=[5, 6], options={"reset_mask": np.array([True, False])})
    assert second[0] != first[0]
    assert second[1].startswith("You are")  # what the other one had last: the answer to "look"


def test_slots_play_groups_and_leave_finished_ones_alone():
    slots = TextVectorEnv.of(ID, 4).slots
    task = slots.tasks("generated_valid")[3]
    frames = slots.start([0, 1, 2, 3], [task] * 4, [0, 1, 2, 3])
    assert len({frame.observation for frame in frames}) == 1  # one task, one start
    assert len({frame.info["state_key"] for frame in frames}) == 1
    moved = slots.step([2, 0], ["inventory", "dance"])
    assert [frame.info["action_valid"] for frame in moved] == [True, False]
    assert slots.start([1], [None], [9])[0] == slots.start([3], [None], [9])[0]


def test_slots_and_single_environments_agree():
    slots = TextVectorEnv.of(ID, 2).slots
    env = gym.make(ID)
    observation, info = env.reset(seed=8)
    (frame,) = slots.start([1], [None], [8])
    assert (frame.observation, frame.info) == (observation, info)
    for command in info["admissible_actions"][:5]:
        assert tuple(slots.step([1], [command])[0]) == env.step(command)


def test_numbers_of_slots_and_texts_must_agree():
    slots = TextVectorEnv.of(ID, 2).slots
    with pytest.raises(BadOptionError, match="expected one of tasks for each of 2 slots, got 1"):
        slots.start([0, 1], [None], [1, 2])
    slots.start([0, 1], [None, None], [1, 2])
    with pytest.raises(BadOptionError, match="expected one of texts for each of 2 slots, got 3"):
        slots.step([0, 1], ["look"] * 3)
    with pytest.raises(BadOptionError, match="got the text 'go'"):
        slots.step([0, 1], "go")
    with pytest.raises(BadOptionError, match="at least one"):
        LocalSlots([])
    with pytest.raises(BadOptionError, match="at least one"):
        TextVectorEnv([])


@pytest.mark.parametrize("actions", ["look", ["look"], ["look"] * 3, None, iter(["look", "look"])])
def test_a_vector_step_takes_one_text_for_each_environment(actions):
    envs = gym.make_vec(ID, num_envs=2)
    envs.reset(seed=0)
    with pytest.raises(BadOptionError, match=r"step\(\) takes one text for each of 2 environments, as a list"):
        envs.step(actions)
    envs.step(["look", "inventory"])
    envs.step(("look", "inventory"))
    envs.close()


def test_many_environments_share_one_parsed_game():
    slots = TextVectorEnv.of(ID, 8).slots
    slots.start(list(range(8)), ["generated_train/000000007"] * 8, [None] * 8)
    games = {id(env.unwrapped.simulator.game) for env in slots.envs}
    assert len(games) == 1


def test_public_names():
    assert agent_gym.TextVectorEnv is TextVectorEnv
