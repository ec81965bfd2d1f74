import pytest

from trainers.statistics import wilson_interval


def test_wilson_interval_at_one_half():
    # z = 1.959964, z² = 3.841459, n = 10: centre 0.5; half-width 1.959964·√(0.025 + 3.841459/400) / 1.3841459
    # = 1.959964·0.186021 / 1.3841459 = 0.263407.
    assert wilson_interval(5, 10) == pytest.approx((0.236593, 0.763407), abs=2e-6)


def test_wilson_interval_without_a_success_starts_at_zero():
    # With p = 0 the bounds are 0 and z²/(n + z²) = 3.841459/13.841459 = 0.277533.
    assert wilson_interval(0, 10) == (0.0, pytest.approx(0.277533, abs=1e-6))


def test_wilson_interval_with_successes_only_ends_at_one():
    assert wilson_interval(10, 10) == (pytest.approx(1 - 0.277533, abs=1e-6), 1.0)


def test_wilson_interval_is_wider_with_more_confidence():
    # z = 1 at 68.2689 %: (0.5 + 0.5/4 ± √(0.25/4 + 1/64)) / 1.25 with 2 of 4: 0.5 ± 0.279508/1.25 = 0.5 ± 0.223607.
    assert wilson_interval(2, 4, confidence=0.6826894921) == pytest.approx((0.276393, 0.723607), abs=1e-6)
    assert wilson_interval(2, 4, confidence=0.99)[0] < wilson_interval(2, 4)[0]


def test_wilson_interval_of_no_trials_is_everything():
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("successes", "n"), [(-1, 10), (11, 10), (0, -1)])
def test_wilson_interval_refuses_impossible_counts(successes, n):
    with pytest.raises(ValueError, match="expected 0 <= successes <= n"):
        wilson_interval(successes, n)


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_wilson_interval_refuses_a_confidence_that_is_no_probability(confidence):
    with pytest.raises(ValueError, match="between 0 and 1"):
        wilson_interval(1, 2, confidence=confidence)
