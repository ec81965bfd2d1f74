"""The adapters' random state is their own, and the process's stays what it was."""

import random

import numpy as np
import pytest

from agent_gym.adapters.local_random import LocalRandom


def draws(dice, count):
    numbers = []
    for _ in range(count):
        with dice:
            numbers.append((random.random(), float(np.random.rand()), float(np.random.normal())))
    return numbers


def test_a_block_draws_what_the_seeded_generators_would():
    random.seed(5)
    np.random.seed(5)
    expected = [(random.random(), float(np.random.rand()), float(np.random.normal())) for _ in range(4)]
    assert draws(LocalRandom(5), 4) == expected


def test_two_states_interleaved_give_what_each_gives_alone():
    alone = [draws(LocalRandom(seed), 3) for seed in (1, 2)]
    one, other = LocalRandom(1), LocalRandom(2)
    together = [(draws(one, 1), draws(other, 1)) for _ in range(3)]
    assert [[pair[place][0] for pair in together] for place in (0, 1)] == alone


def test_the_process_does_not_notice():
    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.rand()
    random.seed(3)
    np.random.seed(3)
    draws(LocalRandom(9), 2)
    assert (random.random(), np.random.rand()) == expected


def fail_within(dice):
    with dice:
        random.random()
        raise ValueError("by design")


def test_an_error_within_a_block_puts_the_state_back_too():
    before = random.getstate()
    with pytest.raises(ValueError, match="by design"):
        fail_within(LocalRandom(1))
    assert random.getstate() == before


def test_the_digest_changes_with_every_draw_and_only_then():
    dice = LocalRandom(1)
    start = dice.digest()
    with dice:
        pass
    assert dice.digest() == start == LocalRandom(1).digest()
    digests = {start}
    for draw in (random.random, np.random.rand, np.random.normal, np.random.normal):
        with dice:
            draw()
        digests.add(dice.digest())
    assert len(digests) == 5  # the second normal number comes out of the first pair
