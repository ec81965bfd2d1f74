"""Intervals for reported rates: every success rate that this project prints comes with one."""

import math
from collections.abc import Sequence
from statistics import NormalDist


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a probability, from `successes` out of `n` independent trials.

        (p̂ + z²/2n ± z·√(p̂(1−p̂)/n + z²/4n²)) / (1 + z²/n)      p̂ = successes / n,  z the normal quantile

    It never leaves [0, 1] and stays honest where the usual p̂ ± z·√(p̂(1−p̂)/n) collapses to a point, at 0 and at n
    successes. The trials are independent tasks or episodes; turns of one episode are not.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", J. Am. Stat. Assoc. 22
    (1927).

    Args:
        successes: Number of successful trials, 0 to `n`.
        n: Number of trials. With none nothing is known, and the interval is (0, 1).
        confidence: Coverage, between 0 and 1, both excluded.

    Returns:
        Lower and upper bound.

    Raises:
        ValueError: If the counts or the confidence are out of range.
    """
    if n < 0 or not 0 <= successes <= n:
        raise ValueError(
            f"expected 0 <= successes <= n, got successes={successes} and n={n}: count both over the same trials"
        )
    z = _quantile(confidence)
    if n == 0:
        return 0.0, 1.0
    rate = successes / n
    centre = rate + z * z / (2 * n)
    half_width = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At 0 and n the bound is exactly 0 or 1 on paper; rounding must not move it past the edge.
    low = 0.0 if successes == 0 else (centre - half_width) / scale
    high = 1.0 if successes == n else (centre + half_width) / scale
    return low, high


def rate_interval(rates: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Interval for the mean of independent rates between 0 and 1: of tasks that were each tried several times.

    To the n rates come z²/2 zeros and z²/2 ones (z² = 3.84 at 95 %, so two of each), and of all N = n + z² numbers

        mean ± z·√(variance / N)          cut to [0, 1]

    is taken. Where every rate is 0 or 1 this is the interval of Agresti and Coull, close to Wilson's. Tries of one
    task that agree with each other make it no narrower; tries that differ do. A bootstrap over tasks would say "100 to
    100 %" of three tasks that were solved: it knows no failure that it has not seen.

    Source: A. Agresti and B. A. Coull, "Approximate is better than 'exact' for interval estimation of binomial
    proportions", The American Statistician 52 (1998); that rates may lie between 0 and 1 is added here.

    Raises:
        ValueError: If there are no rates.
    """
    if not rates:
        raise ValueError("expected at least one rate, got none: there is nothing to report")
    added = _quantile(confidence) ** 2
    low, high = _normal_interval(rates, confidence, n=added, total=added / 2, squares=added / 2)
    return max(0.0, low), min(1.0, high)


def mean_of_rates_interval(rates: Sequence[tuple[float, int]], confidence: float = 0.95) -> tuple[float, float]:
    """Interval for the mean of several rates, each of its own tasks: of environments, each of which counts once.

        mean ± z·√(Σ pᵢ(1 − pᵢ)/Nᵢ) / k      Nᵢ = nᵢ + z²,  pᵢ = (successesᵢ + z²/2) / Nᵢ      cut to [0, 1]

    The variance of each rate is that of Agresti and Coull, see `rate_interval`, so that rates of 0 and 1 are not taken
    for certain. It is about these k environments, and says nothing of others.

    Args:
        rates: Rate and number of tasks of each.
        confidence: Coverage, between 0 and 1, both excluded.

    Raises:
        ValueError: If there are no rates.
    """
    if not rates:
        raise ValueError("expected at least one rate, got none: there is nothing to report")
    z = _quantile(confidence)
    variance = 0.0
    for rate, n in rates:
        p = (rate * n + z * z / 2) / (n + z * z)
        variance += p * (1 - p) / (n + z * z)
    mean = math.fsum(rate for rate, _ in rates) / len(rates)
    half_width = z * math.sqrt(variance) / len(rates)
    return max(0.0, mean - half_width), min(1.0, mean + half_width)


def difference_interval(gains: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Interval for the mean of paired differences, each between −1 and 1, of independent tasks.

    As `rate_interval` does, it counts two tasks more than there are, of which half a one was lost and half a one won:
    two evaluations that agree on every task are not known to agree on all others.

    Source: A. Agresti and Y. Min, "Simple improved confidence intervals for comparing matched proportions", Statistics
    in Medicine 24 (2005); that differences may lie between −1, 0 and 1 is added here.

    Raises:
        ValueError: If there are no differences.
    """
    if not gains:
        raise ValueError("expected at least one difference, got none: there is nothing to report")
    low, high = _normal_interval(gains, confidence, n=2.0, total=0.0, squares=1.0)
    return max(-1.0, low), min(1.0, high)


def _normal_interval(
    values: Sequence[float], confidence: float, *, n: float, total: float, squares: float
) -> tuple[float, float]:
    """Return mean ± z·√(variance / N) of `values` and `n` more numbers with the given sum and sum of squares."""
    n += len(values)
    mean = (total + math.fsum(values)) / n
    variance = max(0.0, (squares + math.fsum(value * value for value in values)) / n - mean * mean)
    half_width = _quantile(confidence) * math.sqrt(variance / n)
    return mean - half_width, mean + half_width


def _quantile(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence between 0 and 1, got {confidence}: for 95 % pass 0.95")
    return NormalDist().inv_cdf(0.5 + confidence / 2)
