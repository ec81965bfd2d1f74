"""The benchmark of worlds measures the same play in both."""

import pytest

from benchmarks.bench_worlds import babyai, minihack, ours


def test_babyai_is_measured_on_what_was_played():
    pytest.importorskip("minigrid", reason="needs the extra babyai")
    speed, played = ours("AgentGym/BabyAI-v0", 30, 20, level="GoToObj")
    assert sum(len(commands) for _, commands in played) == 30
    assert all(len(commands) <= 20 for _, commands in played)
    assert speed > 0
    assert babyai(played, "GoToObj") > 0


def test_minihack_is_measured_on_what_was_played():
    pytest.importorskip("minihack", reason="needs the extra minihack")
    speed, played = ours("AgentGym/MiniHack-v0", 30, 20, level="KeyRoom-S5")
    assert speed > 0
    assert minihack(played, "KeyRoom-S5") > 0
