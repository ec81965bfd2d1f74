"""GAE by token, turn, both, and span: hand vectors, and what they have in common."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainers.credit.made import batch_of, targets_of, token_groups, tokens_group
from trainers.credit import BilevelGae, Gae, MacroGae, TokenAdvantages, TurnGae
from trainers.types import Group

# r = 0, 0, 1, V = 0.2, 0.5, 0.4 in one turn
THREE = batch_of(tokens_group([[0, 0, 1]]), [0.2, 0.5, 0.4])


@pytest.mark.parametrize(
    ("gamma", "lam", "expected"),
    [
        # δ = 0.5 − 0.2 = 0.3, 0.4 − 0.5 = −0.1, 1 − 0.4 = 0.6: A_2 = −0.1 + 0.95·0.6 = 0.47, A_1 = 0.3 + 0.95·0.47
        (1.0, 0.95, [0.7465, 0.47, 0.6]),
        # λ = 1: return minus value
        (1.0, 1.0, [0.8, 0.5, 0.6]),
        # δ = 0.295, −0.104, 0.6: A_2 = −0.104 + 0.9405·0.6 = 0.4603, A_1 = 0.295 + 0.9405·0.4603 = 0.727912
        (0.99, 0.95, [0.727912, 0.4603, 0.6]),
    ],
)
def test_gae_by_token(gamma, lam, expected):
    result = Gae(gamma=gamma, lam=lam, whiten=False).assign(THREE)
    np.testing.assert_allclose(result.advantages_n, expected, atol=1e-6)
    np.testing.assert_allclose(targets_of(result), np.add(expected, [0.2, 0.5, 0.4]), atol=1e-6)
    assert result.taught_n is None


def test_whitened_advantages_have_mean_0_and_variance_1():
    # 0.8, 0.5, 0.6: mean 0.633333, variance (0.027778 + 0.017778 + 0.001111)/2 = 0.023333, root 0.152753
    got = Gae(lam=1.0).assign(THREE).advantages_n
    np.testing.assert_allclose(got, [1.091089, -0.872872, -0.218218], atol=1e-5)


def test_a_critics_noise_is_not_blown_up():
    noise = batch_of(tokens_group([[0, 0, 0]]), [1e-4, -1e-4, 2e-4])
    for credit in (Gae(), TurnGae(), BilevelGae(), MacroGae(length=2)):
        assert credit.assign(noise).advantages_n.tolist() == [0.0, 0.0, 0.0]
    assert Gae(least_spread=0.0).assign(noise).advantages_n.any()


def test_an_episode_that_was_cut_goes_on_with_the_critics_value():
    # λ = 0: δ = −0.1 + 0.9·0.7 = 0.53 instead of −0.1. The second episode has ended, whatever the critic says after it.
    group = tokens_group([[0, 0]], [[0, 1]])
    group = replace(group, episodes=(replace(group.episodes[0], status="cut"), group.episodes[1]))
    batch = batch_of(group, [0.2, 0.1, 0.3, 0.4], last_values=np.array([0.7, 99.0]))
    got = Gae(gamma=0.9, lam=0.0, whiten=False).assign(batch).advantages_n
    np.testing.assert_allclose(got, [0.9 * 0.1 - 0.2, 0.53, 0.9 * 0.4 - 0.3, 0.6], atol=1e-12)
    # By turns, V the first token's: 0 + 0.9·0.7 − 0.2 = 0.43, and 1 − 0.3 = 0.7.
    turns = TurnGae(gamma=0.9, lam=0.0, whiten=False).assign(batch).advantages_n
    np.testing.assert_allclose(turns, [0.43, 0.43, 0.7, 0.7], atol=1e-12)


def test_gae_by_turn():
    # Turns of 2, 1 and 2 tokens: r = 0.5 (in two parts), 0, 1; V at the first tokens = 0.1, 0.3, 0.4; γ = 0.9, λ = 0.5
    # δ = 0.5 + 0.27 − 0.1 = 0.67, 0.36 − 0.3 = 0.06, 1 − 0.4 = 0.6
    # A_3 = 0.6, A_2 = 0.06 + 0.45·0.6 = 0.33, A_1 = 0.67 + 0.45·0.33 = 0.8185
    batch = batch_of(tokens_group([[0.2, 0.3], [0], [0, 1]]), [0.1, 0.2, 0.3, 0.4, 0.5])
    result = TurnGae(gamma=0.9, lam=0.5, whiten=False).assign(batch)
    np.testing.assert_allclose(result.advantages_n, [0.8185, 0.8185, 0.33, 0.6, 0.6], atol=1e-12)
    assert result.taught_n is not None
    assert result.taught_n.tolist() == [True, False, True, True, False]
    np.testing.assert_allclose(targets_of(result)[result.taught_n], [0.9185, 0.63, 1.0], atol=1e-12)
    # At the last tokens V = 0.2, 0.3, 0.5: δ = 0.5 + 0.27 − 0.2 = 0.57, 0.45 − 0.3 = 0.15, 0.5
    last = TurnGae(gamma=0.9, lam=0.0, anchor="last", whiten=False).assign(batch)
    np.testing.assert_allclose(last.advantages_n, [0.57, 0.57, 0.15, 0.5, 0.5], atol=1e-12)
    assert last.taught_n is not None
    assert last.taught_n.tolist() == [False, True, True, False, True]


def test_bilevel_gae():
    # Turn ends at 4 and 9, V = 0.1 … 1.0. Over turns: δ_2 = 1 − 1 = 0, δ_1 = 1 + 0.95·1 − 0.5 = 1.45. Within the first:
    # r' = 1.45 + 0.5 = 1.95, so A = 1.95 − V; within the second r' = 1, so A = 1 − V.
    group = tokens_group([[0, 0, 0, 0, 1], [0, 0, 0, 0, 1]])
    values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    result = BilevelGae(whiten=False).assign(batch_of(group, values))
    np.testing.assert_allclose(result.advantages_n, [1.85, 1.75, 1.65, 1.55, 1.45, 0.4, 0.3, 0.2, 0.1, 0], atol=1e-12)
    np.testing.assert_allclose(targets_of(result), [1.95] * 5 + [1.0] * 5, atol=1e-12)


def test_bilevel_gae_with_a_lambda_on_both_levels():
    # What the environment says in between is no token. δ_2 = 1 − 0.5 = 0.5; δ_1 = 0.1 + 0.9·0.5 − 0.3 = 0.25,
    # A_1 = 0.25 + 0.855·0.5 = 0.6775. Within: 0.3 − 0.2 + 0.95·0.6775 = 0.743625; 0.5 − 0.4 + 0.95·0.5 = 0.575.
    batch = batch_of(tokens_group([[0, 0.1], [0, 1]]), [0.2, 0.3, 0.4, 0.5])
    got = BilevelGae(gamma_turns=0.9, lam=0.95, whiten=False).assign(batch).advantages_n
    np.testing.assert_allclose(got, [0.743625, 0.6775, 0.575, 0.5], atol=1e-12)


def test_bilevel_gae_keeps_a_turn_that_earned_nothing():
    # Turns of 1 token, r = 0 and 1, V = 0.5 and 0.5, γ_H = 0.9: δ_1 = 0.45 − 0.5 = −0.05, A_1 = −0.05 + 0.9·0.5 = 0.4
    batch = batch_of(tokens_group([[0], [1]]), [0.5, 0.5])
    got = BilevelGae(gamma_turns=0.9, whiten=False).assign(batch).advantages_n
    np.testing.assert_allclose(got, [0.4, 0.5], atol=1e-12)


def plain(credit: Gae | TurnGae | BilevelGae | MacroGae, group: Group, values: np.ndarray) -> TokenAdvantages:
    return credit.assign(batch_of(group, list(values)))


def values_for(group: Group) -> np.ndarray:
    """Some number in front of every token."""
    count = sum(len(turn.completion.token_ids) for episode in group.episodes for turn in episode.turns)
    return np.sin(np.arange(count))


@given(token_groups, st.sampled_from([0.9, 1.0]), st.sampled_from([0.0, 0.95, 1.0]))
def test_spans_of_one_token_are_tokens(group, gamma, lam):
    values = values_for(group)
    tokens = plain(Gae(gamma=gamma, lam=lam), group, values)
    for rewards in ("sum", "mean"):
        for weights in ("equal", "unit", "position"):
            credit = MacroGae(length=1, gamma=gamma, lam=lam, rewards=rewards, weights=weights)
            spans = plain(credit, group, values)
            np.testing.assert_array_equal(spans.advantages_n, tokens.advantages_n)  # bit for bit
            np.testing.assert_array_equal(targets_of(spans), targets_of(tokens))


@given(token_groups)
def test_spans_by_turn_are_turns_whose_value_is_the_mean(group):
    values = values_for(group)
    batch = batch_of(group, list(values))
    means = np.bincount(batch.turn_n, weights=values) / np.bincount(batch.turn_n)
    by_turn = plain(TurnGae(whiten=False), group, means[batch.turn_n])
    spans = plain(MacroGae(spans="turn", whiten=False), group, values)
    np.testing.assert_allclose(spans.advantages_n, by_turn.advantages_n, atol=1e-12)


@given(token_groups)
def test_with_lambda_1_all_of_them_are_return_minus_value(group):
    values = values_for(group)
    batch = batch_of(group, list(values))
    totals = np.array([episode.rewards.sum() for episode in group.episodes])[batch.episode_n]
    for credit in (Gae(lam=1.0, whiten=False), BilevelGae(gamma_turns=1.0, whiten=False)):
        np.testing.assert_allclose(credit.assign(batch).advantages_n, totals - values, atol=1e-9)
        np.testing.assert_allclose(targets_of(credit.assign(batch)), totals, atol=1e-9)


@given(token_groups)
def test_episodes_do_not_reach_into_each_other(group):
    values = values_for(group)
    together = batch_of(group, list(values))
    for credit in (Gae(whiten=False), TurnGae(whiten=False), BilevelGae(lam=0.9, whiten=False), MacroGae(whiten=False)):
        whole = credit.assign(together).advantages_n
        for number, episode in enumerate(group.episodes):
            mine = together.episode_n == number
            alone = plain(credit, Group(task="t", episodes=(episode,)), values[mine]).advantages_n
            np.testing.assert_array_equal(alone, whole[mine])


@pytest.mark.parametrize("kind", [Gae, TurnGae, BilevelGae, MacroGae])
def test_settings_that_mean_nothing_are_refused(kind):
    for name, value in (("gamma", 1.5), ("lam", -0.1), ("least_spread", -1.0)):
        with pytest.raises(ValueError, match=f"expected {name}"):
            kind(**{name: value})
    with pytest.raises(ValueError, match="this estimator needs a critic"):
        kind().assign(batch_of(tokens_group([[1]])))
    empty = batch_of(Group(task="t", episodes=()), [])
    assert kind().assign(empty).advantages_n.shape == (0,)


def test_other_settings_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="expected gamma_turns between 0 and 1, got 2"):
        BilevelGae(gamma_turns=2)
    with pytest.raises(ValueError, match="expected anchor to be one of"):
        TurnGae(anchor="middle")  # type: ignore[arg-type]  # what is refused
