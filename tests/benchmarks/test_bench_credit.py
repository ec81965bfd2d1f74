"""The benchmark compares things that compute the same."""

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs matplotlib: the benchmark draws")

from benchmarks.bench_credit import RELEASED, Settings, main, make_groups, quadratic_returns
from trainers.config import CHOICES
from trainers.credit.numerics import returns_to_go


def test_quadratic_returns_are_returns():
    groups = make_groups(100)
    expected = [returns_to_go(episode.rewards, 0.9) for group in groups for episode in group.episodes]
    np.testing.assert_allclose(quadratic_returns(groups, 0.9), np.concatenate(expected), atol=1e-12)
    assert sum(len(array) for array in expected) == 96


def test_every_estimator_has_a_row(tmp_path, capsys):
    main(Settings(sizes=(64, 128), plot=tmp_path / "plot.png"))
    names = [name for name, kind in CHOICES["credit"].items() if not hasattr(kind, "needs_action_values")]
    rows = capsys.readouterr().out.splitlines()
    assert {row[:32].strip() for row in rows[1:-2]} >= {*names, "gae", "macro-gae", RELEASED}
    assert (tmp_path / "plot.png").stat().st_size > 10_000
