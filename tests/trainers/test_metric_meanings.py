"""Every number that a run writes is explained."""

import json
from pathlib import Path

import pytest

from trainers.metric_meanings import MEANINGS, meaning_of

ROOMS = ("--env", "AgentGym/Rooms-v0", "--evaluation.split", "test", "--evaluation.tasks", "2")
POKER = ("--env", "kuhn_poker_v0", "--env.context", "step")
RUNS = {
    "gigpo": (*ROOMS, "credit:gigpo"),
    "extras": (*ROOMS, "credit:gigpo", "dynamic-sampling:on", "--dynamic-sampling.max-tries", "2", "replay:on"),
    "critic": (*ROOMS, "--method", "ppo"),
    "archer": (*ROOMS, "--method", "archer", "--critic.warmup-iterations", "0"),
    "shaper": (*ROOMS, "--method", "spa"),
    "roles": (*POKER, "--players.learn", "per-role", "self-play:on"),
}


@pytest.mark.parametrize(
    ("name", "special"),
    [
        ("gigpo", "credit/step_to_episode"),
        ("extras", "sampling/tries"),
        ("critic", "critic/value"),
        ("archer", "critic/q"),
        ("shaper", "shaping/spa/explained"),
        ("roles", "learner/first/loss"),
    ],
)
def test_every_metric_of_a_run_is_explained(tmp_path: Path, name: str, special: str) -> None:
    pytest.importorskip("torch", reason="needs torch: a run of the trainer")
    from trainers.cli import main

    small = ["--rollout.groups", "2", "--rollout.group-size", "4", "--iterations", "2", "--processes", "1"]
    small += ["--env.num-envs", "8", "--output.report-to", "--output-dir", str(tmp_path / "run")]
    assert main(["train", "--model", "tabular", *RUNS[name], *small]) == 0
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    names = {key for line in lines for key in json.loads(line)} - {"iteration"}
    assert special in names
    assert not {one for one in names if meaning_of(one) is None}


def test_a_role_and_imitation_have_the_meanings_of_the_learner() -> None:
    assert meaning_of("learner/first/kl") is meaning_of("learner/kl") is MEANINGS["learner/kl"]
    assert meaning_of("critic/first/value") is MEANINGS["critic/value"]
    assert meaning_of("sft/steps") is MEANINGS["learner/steps"]
    assert meaning_of("sft/loss") is MEANINGS["sft/loss"]
    assert meaning_of("rollout/length_of_successes") is MEANINGS["rollout/length_of_successes"]
    assert meaning_of("rollout/length_of_buyer") is MEANINGS["rollout/length_of_*"]
    for unknown in ("loss", "learner/nonsense", "learner/a/b/kl", "sft/nonsense", "students/kl"):
        assert meaning_of(unknown) is None


def test_page_is_what_the_code_says() -> None:
    from tools.write_metrics_table import PAGE, updated

    page = PAGE.read_text(encoding="utf-8")
    assert page == updated(page), "run `python -m tools.write_metrics_table`"
