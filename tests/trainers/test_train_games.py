"""Training in games of several agents, through the command line."""

import json

import pytest

from trainers.cli import main
from trainers.config import TrainConfig
from trainers.interrupt import Interruption
from trainers.parallel import Ranks
from trainers.playing import Playing
from trainers.policies.scripted import RandomPolicy
from wrappers.make_llm_games import make_llm_games

GAME = ["--env", "kuhn_poker_v0", "--model", "tabular", "--env.context", "step"]
SMALL = ["--rollout.groups", "12", "--rollout.group-size", "4", "--learner.learning-rate", "0.1"]
LOG = ["--output.report-to"]


class OneOfTwo(Ranks):
    """Takes its share, and waits for nobody."""

    def stretch(self, count):
        return range(count * self.rank // 2, count * (self.rank + 1) // 2)


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("credit", ["gigpo", "rae"])
def test_each_role_has_a_group_of_its_own(tmp_path, capsys, credit):
    words = [*GAME, *SMALL, *LOG, f"credit:{credit}", "--iterations", "2", "--output-dir", str(tmp_path / "run")]
    assert main(["train", *words]) == 0, capsys.readouterr().err
    episodes = [line for line in lines(tmp_path / "run" / "episodes.jsonl") if line["iteration"] == 0]
    # All six deals, each once for either player.
    assert len({line["task"] for line in episodes}) == 12
    assert len(episodes) == 48
    for line in episodes:
        assert line["kind"] == {"0": "first", "1": "second"}[line["task"][-1]]
    first = lines(tmp_path / "run" / "metrics.jsonl")[0]
    assert first["rollout/return_of_first"] == -first["rollout/return_of_second"] != 0
    assert first["learner/grad_norm"] > 0


def test_a_run_that_goes_on_is_the_run_that_was_not_stopped(tmp_path, capsys):
    for name, count in (("whole", 4), ("part", 2)):
        words = [*GAME, *SMALL, *LOG, "--iterations", str(count), "--output-dir", str(tmp_path / name)]
        assert main(["train", *words]) == 0, capsys.readouterr().err
    assert main(["train", "--resume", str(tmp_path / "part"), "--iterations", "4"]) == 0
    whole, part = (lines(tmp_path / name / "episodes.jsonl") for name in ("whole", "part"))
    assert part == whole


def test_a_model_is_evaluated_in_both_roles_against_itself(tmp_path, capsys):
    words = [*GAME, *SMALL, *LOG, "--iterations", "1", "--output-dir", str(tmp_path / "run")]
    assert main(["train", *words, "--evaluation.split", "test"]) == 0, capsys.readouterr().err
    best = str(tmp_path / "run" / "checkpoints" / "best")
    words = ["--split", "test", "--temperature", "1", "--samples", "8", "--output-dir", str(tmp_path / "eval")]
    assert main(["eval", "--model", best, *words]) == 0, capsys.readouterr().err
    summary = json.loads((tmp_path / "eval" / "summary.json").read_text(encoding="utf-8"))
    assert summary["all"]["tasks"] == 12
    wins = [summary["by_kind"][role]["success"] for role in ("first", "second")]
    assert sum(wins) == pytest.approx(1)  # somebody wins each hand


def test_models_of_their_own_are_evaluated_in_their_roles_and_against_others(tmp_path, capsys):
    words = [*GAME, *SMALL, *LOG, "--iterations", "2", "--output-dir", str(tmp_path / "run")]
    own = ["--players.learn", "per-role", "self_play:on", "--self-play.every", "1", "--credit.decay", "0.95"]
    assert main(["train", *words, "credit:rae", *own]) == 0, capsys.readouterr().err
    model = tmp_path / "run" / "checkpoints" / "step_00000002"
    asked = ["--model", str(model), "--split", "test", "--temperature", "1", "--samples", "4"]
    summaries = {}
    for name, players in (
        ("both", []),
        ("expert", ["second=expert"]),
        ("model", [f"first={tmp_path / 'run' / 'checkpoints' / 'step_00000001'}"]),
    ):
        more = ["--players.roles", *players] if players else []
        assert main(["eval", *asked, *more, "--output-dir", str(tmp_path / name)]) == 0, capsys.readouterr().err
        summaries[name] = json.loads((tmp_path / name / "summary.json").read_text(encoding="utf-8"))
    kinds = {name: {task["kind"] for task in one["per_task"]} for name, one in summaries.items()}
    assert kinds == {"both": {"first", "second"}, "expert": {"first"}, "model": {"second"}}
    names = {
        name: {role: one["name"] for role, one in found["model"]["players"].items()}
        for name, found in summaries.items()
    }
    assert names == {
        "both": {"first": "first", "second": "second"},
        "expert": {"first": "first", "second": "expert"},
        "model": {"first": "first", "second": "second"},
    }
    hashes = {name: found["model"]["players"]["first"]["sha256"] for name, found in summaries.items()}
    assert hashes["both"] == hashes["expert"] != hashes["model"]


def test_two_ranks_do_not_tear_a_game_apart():
    tasks = make_llm_games("kuhn_poker_v0", 2).tasks("train")[:6]
    shares = []
    for rank in (0, 1):
        env = make_llm_games("kuhn_poker_v0", 16)
        ranks = OneOfTwo(rank=rank)
        groups, _ = Playing(RandomPolicy(), env, TrainConfig(), ranks).train(tasks, 2, 0, 0, Interruption())
        shares.append([group.task for group in groups])
    # Three games: one for the first rank, two for the second. Six tasks would have been three and three.
    assert shares == [tasks[:2], tasks[2:]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rollout.groups", "3"], "rollout.groups must be a multiple of 2"),
        (["--env.num-envs", "15"], "env.num_envs must be 16 or more"),
        (["task_filter:on"], "task_filter must be left out of a game of 2 agents"),
        (["--env", "kuhn_pocker_v0"], "Did you mean 'kuhn_poker_v0'?"),
        (["--env.settings", "turns=3"], "turns"),
        (["--env.split", "valid"], "valid"),
        (["--players.roles", "secnd=expert"], "Did you mean 'second'?"),
        (["--players.roles", "second=./nothing"], "'./nothing', and there is no such directory"),
        (
            ["--players.learn", "per-role", "replay:on"],
            "replay must be left out where each role has a policy",
        ),
        (["--env", "AgentGym/KeyDoor-v0", "--players.learn", "per-role"], "this environment has no roles"),
    ],
)
def test_what_would_not_work_is_refused_before_anything_is_played(tmp_path, capsys, words, said):
    assert main(["train", *GAME, *words, "--output-dir", str(tmp_path / "run")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_other_verbs_say_who_plays_games(capsys):
    assert main(["rollout", "kuhn_poker_v0"]) == 2
    assert "a game for several agents, which train and eval play" in capsys.readouterr().err
