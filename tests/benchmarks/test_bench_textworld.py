"""The benchmark of TextWorld measures what it says."""

import pytest

pytest.importorskip("textworld", reason="needs the extra textworld")

from benchmarks.bench_textworld import COIN, ours, stories, the_engines


def test_rates_are_measured():
    assert the_engines(stories(COIN, 1), 3) > 0
    assert ours(COIN, 1, 3, 0) > 0
