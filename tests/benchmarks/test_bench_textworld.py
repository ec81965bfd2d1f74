"""The benchmark of TextWorld measures what it says."""

import pytest

pytest.importorskip("textworld", reason="needs the extra textworld")

from benchmarks.bench_textworld import COIN, ours, stories, the_engines


def test_rates_are_measured():
    for clock, processor in (the_engines(stories(COIN, 1), 5), ours(COIN, 1, 5, 0), ours(COIN, 1, 5, 1)):
        assert clock > 0
        assert processor > 0
