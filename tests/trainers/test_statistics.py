import pytest

from trainers.statistics import difference_interval, mean_of_rates_interval, rate_interval, wilson_interval


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


def test_rate_interval_of_one_try_each_is_near_wilsons():
    rates = [1.0] * 90 + [0.0] * 10
    assert rate_interval(rates) == pytest.approx(wilson_interval(90, 100), abs=0.006)


def test_rate_interval_gains_from_tries_of_one_task_that_differ():
    # All rates 1/2, n = 96.1585, so that N = 100: variance 3.8415/100·1/4 = 0.0096, against 1/4 of heads and tails.
    low, high = rate_interval([0.5] * 96)
    assert high - low < 0.25 * (rate_interval([0.0, 1.0] * 48)[1] - rate_interval([0.0, 1.0] * 48)[0])
    assert low < 0.5 < high


def test_rate_interval_does_not_narrow_when_one_more_is_missed():
    # The lower bound falls from 0 to 1 failures; at a bootstrap it would jump from 100 to 99.3 %.
    all_won, one_missed = [1.0] * 100, [1.0] * 99 + [0.75]
    assert rate_interval(one_missed)[0] < rate_interval(all_won)[0] < 1.0
    assert rate_interval([0.0] * 100)[0] == 0.0


def test_difference_interval_of_agresti_and_min():
    # 3 won, 1 lost, 6 alike: n + 2 = 12, mean 2/12, variance (4 + 1)/12 − (1/6)² = 0.388889;
    # 0.166667 ± 1.959964·√(0.388889/12) = 0.166667 ± 0.352837.
    gains = [1.0] * 3 + [-1.0] + [0.0] * 6
    assert difference_interval(gains) == pytest.approx((-0.186170, 0.519503), abs=1e-5)
    assert difference_interval([-gain for gain in gains]) == pytest.approx((-0.519503, 0.186170), abs=1e-5)


@pytest.mark.parametrize("interval", [rate_interval, difference_interval])
def test_intervals_of_nothing_are_refused(interval):
    with pytest.raises(ValueError, match="at least one"):
        interval([])


def test_interval_of_a_mean_of_rates():
    # z² = 3.8415. 50 of 100: N = 103.8415, p = 51.9207 / N = 0.5, variance 0.25 / N = 0.0024075, and 1.96 of its root
    # is 0.09617. Of two such rates the variance of the mean is half of that: 0.06800.
    assert mean_of_rates_interval([(0.5, 100)]) == pytest.approx((0.40383, 0.59617), abs=1e-5)
    assert mean_of_rates_interval([(0.5, 100)] * 2) == pytest.approx((0.43200, 0.56800), abs=1e-5)
    # 0 of 10: N = 13.8415, p = 1.9207 / N = 0.13877, variance 0.13877 · 0.86123 / N = 0.0086342: half width 0.18212.
    assert mean_of_rates_interval([(0.0, 10)]) == pytest.approx((0.0, 0.18212), abs=1e-5)
    with pytest.raises(ValueError, match="nothing to report"):
        mean_of_rates_interval([])
