"""reasoning-gym's datasets as questions with one answer."""

import random

import gymnasium as gym
import pytest

import agent_gym  # noqa: F401  registers the ids
from agent_gym import keys
from agent_gym.errors import BadOptionError, NoExpertError

rg = pytest.importorskip("reasoning_gym", reason="needs the extra reasoning-gym")


def make(game, **settings):
    return gym.make("AgentGym/ReasoningGym-v0", game=game, disable_env_checker=True, **settings)


@pytest.mark.parametrize("game", ["leg_counting", "spiral_matrix", "simple_equations", "knights_knaves"])
def test_questions_and_scores_are_the_librarys(game):
    data = rg.create_dataset(game, seed=1_000_000, size=1000)  # the seed of the split valid
    env = make(game)
    observation, _ = env.reset(options={"task": "valid/00004"})
    assert observation == str(data[4]["question"]).strip()
    text, reward, ended, _, info = env.step(env.unwrapped.expert_action())
    assert (text, reward, ended, info[keys.SUCCESS]) == ("Your answer scores 1.", 1.0, True, True)
    env.reset(options={"task": "valid/00004"})
    assert env.step("certainly wrong")[1] == data.score_answer("certainly wrong", data[4])


def test_options_are_the_datasets_own():
    env = make("chain_sum", options={"min_terms": 7, "max_terms": 7})
    observation, _ = env.reset(options={"task": "train/00000"})
    assert sum(observation.count(sign) for sign in "+-") == 6
    for wrong in ({"min_termz": 7}, {"min_terms": 9, "max_terms": 2}):
        with pytest.raises(BadOptionError, match="can't make 'chain_sum'"):
            make("chain_sum", options=wrong).reset()
    with pytest.raises(BadOptionError, match="set by the tasks"):
        make("chain_sum", options={"seed": 1})


def test_a_dataset_that_draws_from_the_global_generator_repeats():
    """list_functions takes numbers from `random` itself, whatever its seed."""
    random.seed(1)
    first = make("list_functions").reset(options={"task": "train/00002"})
    random.seed(2)
    before = random.getstate()
    assert make("list_functions").reset(options={"task": "train/00002"}) == first
    assert random.getstate() == before


def test_a_mistake_of_the_librarys_scorer_costs_a_step():
    """prime_factorization turns every answer into numbers."""
    env = make("prime_factorization")
    _, info = env.reset(options={"task": "train/00000"})
    assert info[keys.ADMISSIBLE_ACTIONS] == ("0",)  # elsewhere "I don't know.", which is no number
    text, reward, ended, _, info = env.step("two times three")
    assert "The game can't take this command: ValueError" in text
    assert (reward, ended, info[keys.ACTION_VALID]) == (0.0, False, False)
    assert env.step(env.unwrapped.expert_action())[1] == 1.0


def test_an_empty_answer_is_refused_until_the_limit():
    env = make("leg_counting", steps=2)
    env.reset(options={"task": "train/00000"})
    assert env.step("")[2:4] == (False, False)
    assert env.step(" \n")[2:4] == (False, True)


def test_a_dataset_without_a_known_answer_has_no_expert():
    env = make("graph_color")
    env.reset(options={"task": "train/00000"})
    with pytest.raises(NoExpertError, match="graph_color"):
        env.unwrapped.expert_action()


def test_an_unknown_dataset_is_refused_with_the_one_that_may_be_meant():
    with pytest.raises(BadOptionError, match="Did you mean 'leg_counting'"):
        make("leg_counti").reset()
