"""REINFORCE++, and what whitening does."""

import numpy as np
import pytest
from hypothesis import given

from tests.trainers.credit.made import batch_of, completion, token_groups, tokens_group, totals_group
from trainers.credit import ReinforcePlusPlus, smallest_group
from trainers.credit.numerics import whiten
from trainers.credit.tokens import token_batch
from trainers.types import Episode, Group, Turn


def test_returns_are_whitened_over_the_tokens_of_the_batch():
    # A = 1, 1 and 0: mean 2/3, variance 1/3, root 0.577350: 0.577350, 0.577350, −1.154701
    batch = batch_of(tokens_group([[0, 1]], [[0]]))
    got = ReinforcePlusPlus().assign(batch).advantages_n
    np.testing.assert_allclose(got, [0.577350, 0.577350, -1.154701], atol=1e-6)


def test_the_divergence_is_taken_off_the_reward():
    # log-probabilities −1, −2 against −1.5, −1: k1 = 0.5, −1; β = 0.1: r = −0.05, 1.1; γ = 0.9: A = 0.94, 1.1.
    # Of two values the whitened ones are ∓1/√2, here after a third of 0: mean 0.68, var 0.3532, root 0.594306
    turn = Turn(completion=completion([1, 2], logprobs=[-1.0, -2.0]), state_key="s", reward=1.0)
    other = Turn(completion=completion([1]), state_key="s", reward=0.0)
    group = Group(task="t", episodes=(Episode(turns=(turn,)), Episode(turns=(other,))))
    credit = ReinforcePlusPlus(gamma=0.9, kl_weight=0.1)
    batch = batch_of(group, reference_logprobs=np.array([-1.5, -1.0, -1.0]))
    np.testing.assert_allclose(credit.assign(batch).advantages_n, np.array([0.26, 0.42, -0.68]) / 0.594306, atol=1e-5)
    assert credit.needs_reference
    assert not ReinforcePlusPlus().needs_reference
    with pytest.raises(ValueError, match="under a reference model for the KL penalty"):
        credit.assign(batch_of(group))


def test_the_form_with_a_groups_mean():
    # Groups 1, 0 and 5, 5: A = 0.5, −0.5, 0, 0, of mean 0 and variance 0.5/3, root 0.408248
    groups = [totals_group(1, 0), totals_group(5, 5)]
    got = ReinforcePlusPlus(baseline="group").assign(token_batch(groups)).advantages_n
    np.testing.assert_allclose(got, [1.224745, -1.224745, 0, 0], atol=1e-6)
    # Without it the second task looks good: A = 1, 0, 5, 5 of mean 2.75.
    plain = ReinforcePlusPlus().assign(token_batch(groups)).advantages_n
    assert (plain > 0).tolist() == [False, False, True, True]


def test_groups_of_one_are_enough_without_a_groups_mean():
    assert smallest_group(ReinforcePlusPlus()) == 1
    assert smallest_group(ReinforcePlusPlus(baseline="group")) == 2


@given(token_groups)
def test_the_result_has_mean_0_and_variance_1_or_is_0(group):
    got = ReinforcePlusPlus().assign(batch_of(group)).advantages_n
    if got.any():
        assert abs(got.mean()) < 1e-9
        assert got.var(ddof=1) == pytest.approx(1.0, abs=1e-4)
    else:
        assert len({float(episode.rewards.sum()) for episode in group.episodes}) == 1


def test_whitening():
    # 1, 2, 3: mean 2, variance 1
    np.testing.assert_allclose(whiten(np.array([1.0, 2.0, 3.0])), [-1, 0, 1], atol=1e-7)
    assert whiten(np.array([0.3, 0.1 + 0.2])).tolist() == [0.0, 0.0]
    assert whiten(np.array([5.0])).tolist() == [0.0]
    # The standard deviation of 1, 2 is 0.707107.
    assert whiten(np.array([1.0, 2.0]), least=0.71).tolist() == [0.0, 0.0]
    assert whiten(np.array([1.0, 2.0]), least=0.7).all()


def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="expected gamma between"):
        ReinforcePlusPlus(gamma=-1)
    with pytest.raises(ValueError, match="expected a kl_weight of 0 or more"):
        ReinforcePlusPlus(kl_weight=-1)
    with pytest.raises(ValueError, match="expected baseline to be one of"):
        ReinforcePlusPlus(baseline="none")  # type: ignore[arg-type]  # what is refused
