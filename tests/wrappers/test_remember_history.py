import pickle

import pytest
from gymnasium.utils.env_checker import check_env

from agent_gym import restore_state, save_state
from agent_gym.errors import BadOptionError
from wrappers import ParseAction, RememberHistory

START = "A corridor. You are in cell 0.\n\nYour task is to: reach cell 3."


def test_remember_history_keeps_the_last_pairs(corridor):
    env = RememberHistory(corridor, 2)
    _, info = env.reset(options={"task": "train/3"})
    assert info["history"] == ()
    # A pair is the observation that was answered, and the answer.
    assert env.step("east")[-1]["history"] == ((START, "east"),)
    assert env.step("sing")[-1]["history"] == ((START, "east"), ("You are in cell 1.", "sing"))
    assert env.step("west")[-1]["history"] == (("You are in cell 1.", "sing"), ("Nothing happens.", "west"))


def test_remember_history_forgets_at_reset(corridor):
    env = RememberHistory(corridor)
    env.reset(options={"task": "train/3"})
    env.step("east")
    _, info = env.reset(options={"task": "train/3"})
    assert info["history"] == ()
    assert env.step("west")[-1]["history"] == ((START, "west"),)


@pytest.mark.parametrize(("length", "kept"), [(0, 0), (1, 1), (4, 4), (None, 5)])
def test_remember_history_of_other_lengths(corridor, length, kept):
    env = RememberHistory(corridor, length)
    env.reset(options={"task": "train/3"})
    for _ in range(5):
        *_, info = env.step("sing")
    assert len(info["history"]) == kept


def test_remember_history_keeps_commands_and_not_whole_answers(corridor):
    env = RememberHistory(ParseAction(corridor))
    env.reset(options={"task": "train/3"})
    env.step("<think>a long thought</think><action>east</action>")
    *_, info = env.step("no command at all")
    assert info["history"] == ((START, "east"), ("You are in cell 1.", ""))


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_remember_history_on_a_strangers_environment(echo):
    env = RememberHistory(echo)
    check_env(env, skip_render_check=True)
    env.reset()
    assert env.step("hello")[-1] == {"history": (("Say something.", "hello"),)}


@pytest.mark.parametrize("length", [-1, 1.5, "2", True])
def test_remember_history_refuses_what_is_no_length(corridor, length):
    with pytest.raises(BadOptionError, match="number of pairs"):
        RememberHistory(corridor, length)


def test_remember_history_is_saved_and_restored(corridor):
    env = RememberHistory(corridor, 2)
    env.reset(options={"task": "train/3"})
    env.step("east")
    state = pickle.loads(pickle.dumps(save_state(env)))
    first = env.step("sing")
    env.step("west")
    restore_state(env, state)
    assert env.step("sing") == first
