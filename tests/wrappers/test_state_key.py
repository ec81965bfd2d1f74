import pytest
from gymnasium.utils.env_checker import check_env

from agent_gym import restore_state, save_state
from agent_gym.errors import BadOptionError
from wrappers import StateKey, canonical_text


def key_after(env, *commands):
    _, info = env.reset(seed=0)
    for command in commands:
        *_, info = env.step(command)
    return info["state_key"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  You see a MUG.\n\n", "you see a mug."),
        ("a\u00a0b\u2003c", "a b c"),
        ("Straße", "strasse"),
        ("ﬁsh", "fish"),  # compatibility form: the ligature is two letters
        ("e\u0301", "é"),  # a letter with a combining accent is the accented letter
        ("", ""),
    ],
)
def test_canonical_text(text, expected):
    assert canonical_text(text) == expected


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_state_key_of_observations_that_say_the_same(echo):
    env = StateKey(echo)
    check_env(env, skip_render_check=True)
    assert key_after(env, "hello  there") == key_after(env, "Hello\nTHERE ")
    assert key_after(env, "hello") != key_after(env, "hell")
    assert key_after(env) != key_after(env, "hello")
    assert len(key_after(env, "x" * 500)) == 32


def test_state_key_of_text_that_has_no_utf8_form(echo):
    assert key_after(StateKey(echo), "\ud800") != key_after(StateKey(echo), "\ud801")


def test_state_key_from_a_function(corridor):
    env = StateKey(corridor, lambda observation, info: f"{len(observation)} {info['score']}")
    assert key_after(env, "east") == "18 0.0"  # "You are in cell 1." has 18 characters


def test_state_key_of_the_last_states(echo):
    env = StateKey(echo, last=2)
    # Two histories that differ in the last two observations, and two that differ further back.
    assert key_after(env, "a", "c") != key_after(env, "b", "c")
    assert key_after(env, "a", "b", "c") == key_after(env, "x", "b", "c")
    # At the start there is one state only, and a key of one state is not that of the same state twice.
    assert key_after(env) == key_after(env)
    assert key_after(env) != key_after(env, "say something.")
    # The texts of two states never run together.
    assert key_after(env, "a", "bc") != key_after(env, "ab", "c")


def test_state_key_of_the_last_states_by_the_environments_own_key(corridor):
    env = StateKey(corridor, "info", last=2)
    # Cell 1 reached from cell 0, and cell 1 reached from cell 1.
    assert key_after(env, "east") != key_after(env, "east", "sing")
    assert key_after(env, "east", "sing") == key_after(env, "east", "sing", "dance")
    assert key_after(StateKey(corridor, "info"), "east") in ("1 of 2", "1 of 3")


def test_state_key_refuses_what_is_no_key(corridor, echo):
    with pytest.raises(BadOptionError, match=r"got 'observations'\. Did you mean 'observation'\?"):
        StateKey(corridor, "observations")  # type: ignore[arg-type]  # refused here too
    with pytest.raises(BadOptionError, match="does not; use key='observation'"):
        StateKey(echo, "info").reset()
    with pytest.raises(BadOptionError, match="must return a string, got 3"):
        StateKey(echo, lambda observation, info: 3).reset()  # type: ignore[arg-type,return-value]  # refused here too


@pytest.mark.parametrize("last", [0, -1, 1.0, True])
def test_state_key_refuses_what_is_no_number_of_states(corridor, last):
    with pytest.raises(BadOptionError, match="number of states"):
        StateKey(corridor, last=last)


def test_state_key_is_saved_and_restored(corridor):
    env = StateKey(corridor, last=3)
    env.reset(seed=0)
    env.step("east")
    state = save_state(env)
    first = env.step("sing")
    env.step("west")
    restore_state(env, state)
    assert env.step("sing") == first
