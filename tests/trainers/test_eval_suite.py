"""One model in many environments, with one table."""

import json

import pytest

from agent_gym.errors import BadOptionError, MissingExtraError
from agent_gym.multi_agent import kuhn_poker_v0
from agent_gym.multi_agent.slots import GameSlots
from tests.trainers import chat_server as server
from tests.trainers.corridor import tiny_model
from trainers.cli import main
from trainers.config import EnvConfig, TrainConfig
from trainers.eval_command import Eval, EvalEnv
from trainers.eval_suite import matching, suite_summary
from trainers.players import Players
from trainers.policies.tabular import TabularModel, TabularSettings

FEW = ["--tasks", "2", "--max-new-tokens", "4", "--env.settings", "max_episode_steps=3"]
PLAIN = ["--env.settings", "max_episode_steps=1", 'instructions=""']  # so that ALFWorld fits into a small model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"))


def evaluate(pattern, model, directory, *options):
    return main(["eval", "--env", pattern, "--model", str(model), "--output-dir", str(directory), *FEW, *options])


def test_a_model_plays_all_that_a_pattern_names(model, tmp_path, capsys):
    assert evaluate("*/[RM][ao]*", model, tmp_path) == 0
    told = capsys.readouterr().out
    written = json.loads((tmp_path / "suite.json").read_text())
    assert list(written["environments"]) == ["AgentGym/MacroCopy-v0", "AgentGym/Rooms-v0"]
    for name, row in written["environments"].items():
        alone = json.loads((tmp_path / name.partition("/")[2] / "summary.json").read_text())
        assert (row["split"], row["tasks"], row["length"]) == ("test", 2, 3.0)
        assert row["success"] == alone["all"]["success"]
        # Three turns of two episodes with at most four tokens, and one that ends each.
        assert row["tokens"] == alone["model"]["tokens"]
        assert 6 <= row["tokens"]["completion"] <= 30
        assert len((tmp_path / name.partition("/")[2] / "episodes.jsonl").read_text().splitlines()) == 2
    assert written["mean"]["environments"] == 2
    assert written["model"]["sha256"]
    [line] = [line for line in told.splitlines() if line.startswith("AgentGym/Rooms-v0 ")]
    assert line.split()[1:3] == ["test", "2"]
    assert "mean, each environment once" in told


def test_a_table_plays_each_environment_as_it_was_saved(tmp_path):
    TabularModel(TabularSettings(commands=4)).save_pretrained(str(tmp_path / "table"))
    assert evaluate("*/[RM][ao]*", tmp_path / "table", tmp_path / "suite") == 0
    written = json.loads((tmp_path / "suite" / "suite.json").read_text())
    # Each of the two has four commands: there would be no room for those of both.
    assert {name: row["tasks"] for name, row in written["environments"].items()} == {
        "AgentGym/MacroCopy-v0": 2,
        "AgentGym/Rooms-v0": 2,
    }
    assert written["left_out"] == {}


def test_what_was_played_is_not_played_again(model, tmp_path):
    assert evaluate("*/Rooms-v0", model, tmp_path) == 0
    summary = tmp_path / "Rooms-v0" / "summary.json"
    marked = json.loads(summary.read_text())
    marked["all"]["success"] = 0.125  # would be gone if it were played again
    summary.write_text(json.dumps(marked))
    assert evaluate("*/[RM][ao]*", model, tmp_path) == 0
    assert json.loads((tmp_path / "suite.json").read_text())["environments"]["AgentGym/Rooms-v0"]["success"] == 0.125
    assert evaluate("*/Rooms-v0", model, tmp_path, "--tasks", "3") == 0
    assert json.loads(summary.read_text())["all"]["tasks"] == 3
    assert json.loads(summary.read_text())["all"]["success"] != 0.125


def test_what_cannot_be_played_is_named_and_left_out(model, tmp_path, capsys, monkeypatch):
    from agent_gym.envs.webshop.env import WebshopEnv

    def tasks(env, split):
        raise MissingExtraError("Install it with: pip install 'agent-gym[webshop]'")

    monkeypatch.setattr(WebshopEnv, "tasks", tasks)
    assert evaluate("*/[WR][eo][bo]*", model, tmp_path) == 0
    assert "AgentGym/WebShop-v0 is left out: Install it with: pip install" in capsys.readouterr().out
    written = json.loads((tmp_path / "suite.json").read_text())
    assert list(written["environments"]) == ["AgentGym/Rooms-v0"]
    assert "pip install" in written["left_out"]["AgentGym/WebShop-v0"]


def test_a_split_that_some_have_leaves_the_others_out(model, tmp_path, capsys):
    assert evaluate("*/[AR][Lo]*", model, tmp_path, *PLAIN, "--split", "generated_valid") == 0
    assert "AgentGym/Rooms-v0 is left out: it has no split generated_valid, but train, valid, test." in (
        capsys.readouterr().out
    )
    written = json.loads((tmp_path / "suite.json").read_text())
    assert {name: row["split"] for name, row in written["environments"].items()} == {
        "AgentGym/ALFWorld-v0": "generated_valid"
    }
    assert evaluate("*/Rooms-v0", model, tmp_path, "--split", "generated_valid") == 2
    assert "names nothing that can be played here" in capsys.readouterr().err


def test_a_prompt_that_does_not_fit_costs_one_environment(model, tmp_path):
    long = "x" * 2000  # a token per byte, and room for 1024
    settings = ["max_episode_steps=3", f"instructions={long}"]
    assert evaluate("*/Rooms-v0", model, tmp_path, "--env.settings", *settings) == 0
    written = json.loads((tmp_path / "suite.json").read_text())
    assert (written["environments"], written["mean"]) == ({}, {})
    assert "tokens, the model's context holds 1,024" in written["left_out"]["AgentGym/Rooms-v0"]


def test_a_setting_that_one_of_them_does_not_have_is_refused_before_anything_is_played(model, tmp_path, capsys):
    assert evaluate("*/[RM][ao]*", model, tmp_path, "--env.settings", "length=4") == 2
    assert "AgentGym/Rooms-v0 has no setting 'length'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_players_are_refused_with_a_pattern(model, tmp_path, capsys):
    assert evaluate("kuhn*", model, tmp_path, "--players.roles", "second=expert") == 2
    assert "--players.roles must be left out with a pattern" in capsys.readouterr().err


@pytest.mark.parametrize(("env", "workers"), [("", 2), ("AgentGym/Rooms-v0", 2), ("AgentGym/MacroCopy-v0", 0)])
def test_an_environment_is_in_as_many_workers_as_in_training(env, workers):
    trained = TrainConfig(env=EnvConfig(id="AgentGym/Rooms-v0", workers=2))
    assert Eval(env=EvalEnv(id=env)).env_like(trained).workers == workers
    assert Eval(env=EvalEnv(id=env, workers=1)).env_like(trained).workers == 1


@pytest.mark.parametrize("env", ["", "kuhn_poker_v0"])
def test_the_others_of_a_game_are_as_in_training_whether_it_is_named_or_not(env):
    roles = {"second": "expert"}
    trained = TrainConfig(env=EnvConfig(id="kuhn_poker_v0"), players=Players(roles=roles))
    slots = GameSlots(kuhn_poker_v0.env, num_slots=2)
    verb = Eval(env=EvalEnv(id=env))
    assert verb.players_like(trained, slots, verb.env_like(trained).id).roles == roles
    elsewhere = TrainConfig(env=EnvConfig(id="negotiation_v0"), players=Players(roles=roles))
    assert Eval().players_like(elsewhere, slots, "kuhn_poker_v0").roles == {}


def test_games_are_played_too(model, tmp_path):
    options = ["--tasks", "2", "--max-new-tokens", "4", "--output-dir", str(tmp_path)]
    assert main(["eval", "--env", "kuhn*", "--model", str(model), *options]) == 0
    [row] = json.loads((tmp_path / "suite.json").read_text())["environments"].values()
    assert row["tasks"] == 2  # both agents of one game


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """A run of two tables that play Kuhn poker, of which the second never learns."""
    run = tmp_path_factory.mktemp("apart") / "run"
    words = "train kuhn_poker_v0 --model tabular --env.context step --env.num-envs 8 --rollout.groups 2"
    words += " --rollout.group-size 4 --iterations 1 --processes 1 --players.learn per-role"
    assert main([*words.split(), "--output-dir", str(run)]) == 0
    return run / "checkpoints" / "step_00000001"


def test_a_checkpoint_with_a_model_for_each_role_plays_what_has_those_roles(apart, tmp_path, capsys):
    options = ["--tasks", "2", "--output-dir", str(tmp_path)]
    assert main(["eval", "--env", "*[Rkh][ou][ouh]*", "--model", str(apart), *options]) == 0
    written = json.loads((tmp_path / "suite.json").read_text())
    assert list(written["environments"]) == ["kuhn_poker_v0"]
    alone = json.loads((tmp_path / "kuhn_poker_v0" / "summary.json").read_text())
    assert list(alone["model"]["players"]) == ["first", "second"]
    assert written["environments"]["kuhn_poker_v0"]["tasks"] == 2  # both agents of one game
    left_out = written["left_out"]
    assert "models for the roles ['first', 'second'], and none that plays alone" in left_out["AgentGym/Rooms-v0"]
    assert "none for ['robot_0', 'robot_1']" in left_out["household_v0"]


def test_a_server_is_asked_once_before_and_each_environment_has_its_own_cost(tmp_path, capsys, monkeypatch):
    def answering(handler):
        body = {
            "choices": [{"message": {"role": "assistant", "content": "red door"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 20, "completion_tokens": 2},
        }
        handler.reply(200, json.dumps(body).encode())

    with server.serving(answering) as running:
        assert evaluate("*/[RM][ao]*", "m", tmp_path, "--server", running.url) == 0
        asked = len(running.requests)
    assert asked == 1 + 2 * 2 * 3  # two environments, two tasks, three turns
    rows = json.loads((tmp_path / "suite.json").read_text())["environments"]
    spent = {"prompt": 120, "completion": 12, "answers_without_a_count": 0}
    assert [row["tokens"] for row in rows.values()] == [spent, spent]
    # The answers of two tasks per environment: 12 tokens in 2 episodes.
    assert "   6.0 " in next(line for line in capsys.readouterr().out.splitlines() if line.startswith("AgentGym/Rooms"))


def test_a_pattern_that_names_nothing_is_refused():
    with pytest.raises(BadOptionError, match="names no environment of this package"):
        matching("Agentgym/*")
    assert matching("*_v0")[0] == "household_v0"


def test_the_mean_counts_each_environment_once():
    def summary(success, tasks):
        result = {"tasks": tasks, "episodes": tasks, "success": success, "interval": [0, 1], "score": success}
        return {
            "split": "test",
            "note": "",
            "model": {"name": "m", "tokens": {"prompt": 1, "completion": 1}},
            "all": result | {"length": 1.0, "failed": 0},
        }

    mean = suite_summary("*", "test", {"a": summary(1.0, 10), "b": summary(0.0, 1000)}, {})["mean"]
    assert (mean["success"], mean["score"], mean["environments"]) == (0.5, 0.5, 2)
