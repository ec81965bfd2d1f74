import json
import sys

import pytest

from agent_gym.errors import MissingExtraError
from trainers.config import OutputConfig
from trainers.metrics import RunLog, cut_back, is_timing, rollout_metrics, speed_metrics
from trainers.rollout import RolloutStats
from trainers.types import Completion, Episode, Group, Turn


def turn(**more):
    completion = Completion(prompt_ids=(1,), token_ids=(2, 3), logprobs=(0.0, 0.0))
    return Turn(completion=completion, state_key="s", reward=0.5, **more)


def test_rollout_metrics():
    won = Episode(turns=(turn(), turn(action_valid=False)), success=True, score=1.0)
    lost = Episode(turns=(turn(action_valid=False, format_valid=False),) * 2, status="cut", score=0.5)
    failed = Episode(turns=(turn(),), status="failed", error="x")
    stats = RolloutStats(episodes=3, turns=5, generated_tokens=10)
    metrics = rollout_metrics([Group(task="t", episodes=(won, lost, failed))], stats)
    assert metrics["rollout/episodes"] == 3
    assert metrics["rollout/failed"] == 1
    assert metrics["rollout/success"] == 0.5
    assert metrics["rollout/score"] == 0.75
    assert metrics["rollout/return"] == 1.0
    assert metrics["rollout/cut"] == 0.5
    assert metrics["rollout/length_of_successes"] == 2
    assert metrics["rollout/invalid_actions"] == 0.75
    assert metrics["rollout/invalid_format"] == 0.5
    assert metrics["rollout/answer_tokens"] == 2
    assert "rollout/success" not in rollout_metrics([Group(task="t", episodes=(failed,))], stats)


def test_speed_metrics_are_timings():
    stats = RolloutStats(turns=4, generated_tokens=10, prompt_tokens=30, generation_s=2.0, environment_s=1.0)
    metrics = speed_metrics(stats, learning_s=5.0, learnt_tokens=50, total_s=10.0)
    assert metrics["time/generation_share"] == 0.2
    assert metrics["time/environment_share"] == 0.1
    assert metrics["time/learning_share"] == 0.5
    assert metrics["speed/generated_tokens_per_s"] == 5
    assert metrics["speed/learnt_tokens_per_s"] == 10
    assert metrics["speed/tokens_per_s"] == 4
    assert metrics["memory/peak_mb"] > 1
    assert all(is_timing(name) for name in metrics)


def test_lines_of_iterations_to_come_are_taken_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    kept = b'{"iteration": 0, "a": 1.5}\n{"iteration": 1}\n'
    path.write_bytes(kept + b'{"iteration": 2}\n{"iteration": 3}\n{"itera')
    cut_back(path, 2)
    assert path.read_bytes() == kept
    cut_back(path, 5)
    assert path.read_bytes() == kept
    cut_back(tmp_path / "none.jsonl", 1)


def test_a_log_goes_on_where_it_is_cut_back(tmp_path):
    for start, numbers in ((0, (0, 1, 2)), (1, (1, 2))):
        log = RunLog(tmp_path, start=start)
        for number in numbers:
            log.log(number, {"rollout/success": number / 4})
            log.log_episodes([{"iteration": number, "task": "\ud800"}])
        log.close()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [0, 1, 2]
    assert lines[2]["rollout/success"] == 0.5
    assert len((tmp_path / "episodes.jsonl").read_text().splitlines()) == 3


def test_a_logger_that_is_asked_for_must_be_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(MissingExtraError, match="pip install trackio"):
        RunLog(tmp_path, ["trackio"])


def test_tensorboard_shows_every_metric(tmp_path):
    assert OutputConfig().report_to == ("tensorboard",)
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for start, numbers in ((0, (0, 1, 2)), (1, (1, 2))):  # stopped after three iterations, and gone on after one
        log = RunLog(tmp_path, ["tensorboard"], start=start)
        for number in numbers:
            log.log(number, {"rollout/success": number / 4 + start, "learner/kl": 0.5})
        log.close()
    events = loader.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert set(events.Tags()["scalars"]) == {"rollout/success", "learner/kl"}
    # 0/4 of the first part, then 1/4 + 1 and 2/4 + 1 of the second; what was played again is purged.
    assert [(event.step, event.value) for event in events.Scalars("rollout/success")] == [(0, 0), (1, 1.25), (2, 1.5)]
    assert [event.value for event in events.Scalars("learner/kl")] == [0.5] * 3


def test_without_tensorboard_a_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    log = RunLog(tmp_path, ["tensorboard"])
    log.log(0, {"rollout/success": 1.0})
    log.close()
    assert (tmp_path / "metrics.jsonl").read_text() == '{"iteration": 0, "rollout/success": 1.0}\n'


def test_wandb_takes_the_metrics(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="needs wandb: pip install wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    log = RunLog(tmp_path / "run", ["wandb"], config={"seed": 3})
    log.log(0, {"rollout/success": 0.25})
    log.close()
    [file] = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    assert b"rollout/success" in file.read_bytes()


def test_trackio_takes_the_metrics(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio", reason="needs trackio: pip install trackio")
    log = RunLog(tmp_path / "run", ["trackio"], config={"seed": 3})
    log.log(0, {"rollout/success": 0.25})
    log.close()
    assert any(b"rollout/success" in path.read_bytes() for path in (tmp_path / "trackio").rglob("*.db*"))
