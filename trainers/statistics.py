"""Intervals for reported rates: every success rate that this project prints comes with one."""

import math
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
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence between 0 and 1, got {confidence}: for 95 % pass 0.95")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    rate = successes / n
    centre = rate + z * z / (2 * n)
    half_width = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At 0 and n the bound is exactly 0 or 1 on paper; rounding must not move it past the edge.
    low = 0.0 if successes == 0 else (centre - half_width) / scale
    high = 1.0 if successes == n else (centre + half_width) / scale
    return low, high
