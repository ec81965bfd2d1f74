"""Progress through the specifications of the household, as the trainer shapes by it."""

import json

import numpy as np
import pytest

from trainers.cli import main
from trainers.policies.base import Sampling
from trainers.policies.scripted import ExpertPolicy, RandomPolicy
from trainers.rollout import play
from trainers.shaping import LtlProgress, PotentialShaping
from wrappers.make_llm_games import make_llm_games


@pytest.mark.parametrize(("policy", "depth"), [(ExpertPolicy, 1), (ExpertPolicy, 3), (RandomPolicy, 2)])
def test_progress_from_the_formulas_is_the_progress_that_the_house_tells(policy, depth):
    env = make_llm_games("household_v0", 4, context="step", depth=depth, steps=25)
    tasks = list(env.tasks("test"))[:2]
    groups, _ = play(policy(), env, tasks, group_size=1, sampling=Sampling(), context="step", seed=1)
    for group in groups:
        told = PotentialShaping(gamma=0.95, entry="progress", cut="keep")(group)
        computed = LtlProgress(gamma=0.95, cut="keep")(group)
        for one, other, plain in zip(told.episodes, computed.episodes, group.episodes, strict=True):
            np.testing.assert_allclose(other.rewards, one.rewards, atol=1e-12)
            if policy is ExpertPolicy:
                assert plain.success
                # The sum with discounts telescopes: the potential is 0 at the start and at the end.
                added = other.rewards - plain.rewards
                assert np.abs(added).max() > 0.1
                assert added @ 0.95 ** np.arange(len(added)) == pytest.approx(0, abs=1e-12)


def test_the_method_trains_there(tmp_path, capsys):
    words = ["--env", "household_v0", "--env.settings", "depth=1", "robots=2", "steps=8", "--env.context", "step"]
    small = ["--rollout.groups", "2", "--rollout.group-size", "2", "--env.num-envs", "4", "--iterations", "1"]
    small += ["--rollout.tasks", "1"]
    model = ["--model", "tabular:state:200", "--learner.learning-rate", "0.1", "--output.report-to"]
    out = tmp_path / "run"
    assert main(["train", *words, *small, *model, "--method", "ltl", "--output-dir", str(out)]) == 0
    assert capsys.readouterr().err == ""
    episodes = [json.loads(line) for line in (out / "episodes.jsonl").read_text().splitlines()]
    assert {line["kind"] for line in episodes} == {"robot_0", "robot_1"}
    assert len({line["task"].partition("@")[0] for line in episodes}) == 1  # of the one task that there is to be
