"""What `agent-gym list` says was measured is measured."""

import json

import pytest

from agent_gym.suite_figures import Figures, Outcome
from benchmarks import suite_figures


def measured(monkeypatch, file, *names):
    monkeypatch.setattr(suite_figures, "SECONDS", 0.01)
    monkeypatch.setattr("sys.argv", ["suite_figures", "--file", str(file), "--tasks", "5", *names])
    suite_figures.main()
    return {name: Figures.from_json(entry) for name, entry in json.loads(file.read_text()).items()}


def test_an_environment_and_a_game(monkeypatch, tmp_path):
    found = measured(monkeypatch, tmp_path / "figures.json", "AgentGym/MacroCopy-v0", "twenty_questions_v0")
    copy, questions = found["AgentGym/MacroCopy-v0"], found["twenty_questions_v0"]
    assert copy.tasks == {"train": 16, "valid": 16, "test": 16}
    # 64 symbols out of four: chance is right in a quarter of them, and in all of them once in 4^64 texts.
    [chance], [expert] = (copy.players[player].outcomes for player in ("random", "expert"))
    assert (chance.successes, chance.score) == (0, pytest.approx(0.25, abs=0.08))
    assert expert == Outcome(role="", successes=5, score=1.0)
    assert copy.players["expert"].steps == 64
    assert copy.steps_per_s > 0
    assert [one.role for one in questions.players["random"].outcomes] == ["asker", "answerer"]
    assert [one.successes for one in questions.players["expert"].outcomes] == [5, 5]
    assert questions.players["expert"].steps <= 40


def test_what_is_measured_is_kept(monkeypatch, tmp_path):
    first = measured(monkeypatch, tmp_path / "figures.json", "AgentGym/Rooms-v0")
    second = measured(monkeypatch, tmp_path / "figures.json", "kuhn_poker_v0")
    assert second == first | {"kuhn_poker_v0": second["kuhn_poker_v0"]}
