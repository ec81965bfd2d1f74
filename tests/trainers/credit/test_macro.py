"""Macro actions: where spans end, and what a span is worth."""

from typing import Any

import numpy as np
import pytest

from tests.trainers.credit.made import batch_of, targets_of, tokens_group
from trainers.credit import MacroGae
from trainers.credit.macro import span_weights

# V = 0.1 … 0.5, r = −0.01 … −0.04 and 1, in one turn; spans of 2, 2 and 1 token, so V_τ = 0.15, 0.35, 0.5
HAND = batch_of(tokens_group([[-0.01, -0.02, -0.03, -0.04, 1]]), [0.1, 0.2, 0.3, 0.4, 0.5])


def test_spans_that_earn_the_sum():
    # r_τ = −0.03, −0.07, 1: A_3 = 0.5; A_2 = −0.07 + 0.5 − 0.35 + 0.95·0.5 = 0.555; A_1 = −0.03 + 0.2 + 0.95·0.555
    result = MacroGae(length=2, whiten=False).assign(HAND)
    np.testing.assert_allclose(result.advantages_n, [0.69725, 0.69725, 0.555, 0.555, 0.5], atol=1e-12)
    np.testing.assert_allclose(targets_of(result), [0.84725, 0.84725, 0.905, 0.905, 1.0], atol=1e-12)


def test_spans_that_earn_the_mean():
    # r_τ = −0.015, −0.035, 1: A_2 = −0.035 + 0.15 + 0.475 = 0.59; A_1 = −0.015 + 0.2 + 0.95·0.59 = 0.7455
    got = MacroGae(length=2, rewards="mean", whiten=False).assign(HAND).advantages_n
    np.testing.assert_allclose(got, [0.7455, 0.7455, 0.59, 0.59, 0.5], atol=1e-12)


def test_single_tokens():
    # A_5 = 0.5, A_4 = −0.04 + 0.1 + 0.95·0.5 = 0.535, A_3 = 0.07 + 0.95·0.535 = 0.57825, then 0.08 and 0.09 on top
    got = MacroGae(length=1, whiten=False).assign(HAND).advantages_n
    np.testing.assert_allclose(got, [0.687871, 0.629337, 0.57825, 0.535, 0.5], atol=1e-6)


def test_one_span_is_a_bandit():
    # Sum of rewards 0.9, mean of values 0.3.
    got = MacroGae(spans="turn", whiten=False).assign(HAND).advantages_n
    np.testing.assert_allclose(got, [0.6] * 5, atol=1e-12)
    # With the last token alone: V = 0.25, 0.5, r = −0.1, 1: A = −0.1 + 0.25 + 0.475 = 0.625, 0.5
    alone = MacroGae(spans="turn", last_alone=True, whiten=False).assign(HAND).advantages_n
    np.testing.assert_allclose(alone, [0.625] * 4 + [0.5], atol=1e-12)


def ends(credit: MacroGae, *turns: int, **more: Any) -> list[int]:
    """Where spans end in an episode with turns of these lengths."""
    batch = batch_of(tokens_group([[0.0] * n for n in turns]), **more)
    return np.flatnonzero(credit.span_ends(batch)).tolist()


def test_fixed_spans_begin_anew_with_every_turn():
    assert ends(MacroGae(length=2), 5, 3) == [1, 3, 4, 6, 7]
    assert ends(MacroGae(length=100), 5, 3) == [4, 7]


def test_no_span_is_empty_where_the_last_token_is_set_apart():
    # Five tokens, spans of two: the boundary before the last token is there already.
    assert ends(MacroGae(length=2, last_alone=True), 5) == [1, 3, 4]
    assert ends(MacroGae(length=2, last_alone=True), 4) == [1, 2, 3]
    assert ends(MacroGae(length=9, last_alone=True), 2) == [0, 1]
    assert ends(MacroGae(length=2, last_alone=True), 1) == [0]


def test_random_spans_are_drawn_once_and_for_all():
    credit = MacroGae(spans="random", lengths=(2, 3), seed=3)
    found = ends(credit, 50, 7)
    assert found == ends(credit, 50, 7)
    assert found != ends(MacroGae(spans="random", lengths=(2, 3), seed=4), 50, 7)
    assert {49, 56} <= set(found)
    lengths = np.diff([-1, *[n for n in found if n < 49]])
    assert set(lengths) == {2, 3}
    assert ends(MacroGae(spans="random", lengths=(4,)), 6, 5) == [3, 5, 9, 10]


def test_spans_end_with_a_token():
    # tokens_group numbers the tokens of a turn from 0.
    assert ends(MacroGae(spans="boundary", boundary_ids=(1,)), 4, 1) == [1, 3, 4]


def test_a_span_begins_where_the_reference_is_surprised():
    # −1, −1.5, −0.2, −3: falls by 0.5 and by 2.8
    reference = np.array([-1.0, -1.5, -0.2, -3.0])
    assert ends(MacroGae(spans="perplexity"), 4, reference_logprobs=reference) == [0, 2, 3]
    assert ends(MacroGae(spans="perplexity", margin=1.0), 4, reference_logprobs=reference) == [2, 3]
    with pytest.raises(ValueError, match="under a reference model to cut spans by"):
        ends(MacroGae(spans="perplexity"), 4)


def test_weights_of_a_spans_values():
    # by position 1, 1/2, 1/3 over 11/6: 6/11, 3/11, 2/11
    lengths = np.array([3, 1])
    assert span_weights(lengths, "equal").tolist() == pytest.approx([1 / 3] * 3 + [1])
    assert span_weights(lengths, "unit").tolist() == [0, 0, 1, 1]
    assert span_weights(lengths, "position").tolist() == pytest.approx([6 / 11, 3 / 11, 2 / 11, 1])


@pytest.mark.parametrize(
    "settings",
    [{"spans": "words"}, {"length": 0}, {"lengths": ()}, {"margin": -1.0}, {"weights": "all"}, {"rewards": "max"}],
)
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(ValueError, match=f"expected {next(iter(settings))}"):
        MacroGae(**settings)
    with pytest.raises(ValueError, match="expected boundary_ids"):
        MacroGae(spans="boundary")
