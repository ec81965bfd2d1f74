"""Every published method trains by its name, through the command line, and what learns goes on where it was."""

import contextlib
import json
import tomllib

import numpy as np
import pytest

import agent_gym  # noqa: F401  registers the ids
from agent_gym.errors import BadOptionError
from examples.own_credit import ReturnsToGo
from tools.write_methods_table import PAGE, updated
from trainers.bench.study import Run, load_study
from trainers.cli import main
from trainers.commands import parse_train
from trainers.config import TrainConfig, config_from_table, load_config, to_toml
from trainers.credit import Grpo
from trainers.dynamic_sampling import DynamicSampling
from trainers.losses.ppo import PpoLoss
from trainers.methods import apply_method, load_method, method_names
from trainers.metrics import is_timing
from trainers.shaping.exprd import save_table

ROOMS = ("AgentGym/Rooms-v0", "regime=short", "layouts=1")
KEY_DOOR = ("AgentGym/KeyDoor-v0", "layouts=1")
BUSY_WORK = ("AgentGym/BusyWork-v0", "history=0")
COPY = ("AgentGym/MacroCopy-v0", "length=8", "texts=1")
WHERE = {"calm": KEY_DOOR, "ltl": KEY_DOOR, "intent": KEY_DOOR, "renorm": BUSY_WORK, "tempo": COPY, "ircoco": COPY}
"""Environments that give a method what it needs; the others are tried in rooms."""
LEARN = ("spa", "lare", "rrd-u", "explors", "ircoco", "arpo", "ppo", "archer")
"""Methods that remember something besides the weights."""


def options(name, tmp_path):
    """What a method needs to be told where it is tried."""
    if name == "ltl":
        path = tmp_path / "ltl.toml"
        levels = [{"leave": 'F("pick up key" && F "open door")'}]
        path.write_text(to_toml(config_from_table({"shaping": {"ltl": {"levels": levels}}})))
        return [str(path)]
    if name == "exprd":
        [task] = make_rooms().tasks("train")
        table = np.array([[1.0, 0.0], [0.0, -1.0]])
        save_table(tmp_path / "rewards.json", table, [f"{task}:0", f"{task}:1"], ["blue door", "red door"])
        return ["--shaping.exprd.table", str(tmp_path / "rewards.json")]
    if name == "intent":  # no query and no rewrite here: commands and what was reached stand for them
        return ["--shaping.intent.pattern", "<action>(.*?)</action>", "--shaping.intent.entry", "subgoals"]
    if name in ("lare", "rrd", "rrd-u"):  # quickly
        return ["--shaping.lare.updates", "5", "--shaping.lare.width", "8"]
    if name == "archer":  # it warms up for 20 iterations
        return ["--critic.warmup-iterations", "1", "--credit.critic-steps", "5"]
    if name == "arpo":  # rooms give scores for getting half way; and groups of two that both fail are many
        return ["--replay.low", "2", "--replay.flat", "2", "--rollout.group-size", "2", "--rollout.groups", "6"]
    return []


def make_rooms():
    import gymnasium as gym

    return gym.make("AgentGym/Rooms-v0", regime="short", layouts=1).unwrapped


def train(directory, env, *words, iterations=3):
    """Train a table, and return the metrics of all iterations."""
    command = [
        "train",
        *("--env", env[0], "--env.settings", *env[1:], "--env.num-envs", "8", "--model", "tabular"),
        *("--rollout.groups", "2", "--rollout.group-size", "4", "--processes", "1"),
        *("--learner.optimiser", "sgd", "--learner.learning-rate", "1", "--output.report-to"),
        *("--iterations", str(iterations), "--output-dir", str(directory), *words),
    ]
    assert main(command) == 0
    return read(directory)


def read(directory):
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", method_names())
def test_every_method_trains_by_its_name(name, tmp_path):
    env = WHERE.get(name, ROOMS)
    metrics = train(tmp_path / "run", env, "--method", name, *options(name, tmp_path))
    assert len(metrics) == 3
    assert all(np.isfinite(value) for line in metrics for value in line.values())
    assert any(line.get("credit/advantage_abs", 0.0) > 0 for line in metrics)
    assert any(line.get("learner/grad_norm", 0.0) > 0 for line in metrics)
    # What was written says the same again.
    config = load_config(tmp_path / "run" / "config.toml")
    named = apply_method(name, TrainConfig())
    assert (type(config.credit), type(config.loss)) == (type(named.credit), type(named.loss))
    assert config.shaping.chosen().keys() == named.shaping.chosen().keys()
    assert config_from_table(tomllib.loads(to_toml(config))) == config


@pytest.mark.parametrize("name", LEARN)
def test_what_a_method_has_learnt_goes_on_exactly(name, tmp_path):
    env = WHERE.get(name, ROOMS)
    words = ["--method", name, *options(name, tmp_path)]
    whole = train(tmp_path / "whole", env, *words, iterations=5)
    train(tmp_path / "parts", env, *words, iterations=2)
    assert main(["train", "--resume", str(tmp_path / "parts"), "--iterations", "5"]) == 0
    assert untimed(read(tmp_path / "parts")) == untimed(whole)
    if name == "arpo":
        assert sum(line["replay/replayed"] for line in whole) > 0
        lines = [json.loads(line) for line in (tmp_path / "whole" / "episodes.jsonl").read_text().splitlines()]
        replayed = [line for line in lines if "replayed" in line]
        assert len(replayed) == sum(line["replay/replayed"] for line in whole)
        assert all(line["success"] and line["member"] == 0 for line in replayed)
        # Replayed successes are no successes of the policy that plays now.
        now = [line["success"] for line in lines if line["iteration"] == 4 and "replayed" not in line]
        assert whole[4]["rollout/success"] == pytest.approx(sum(now) / 12)
        # Their log-probabilities are the learner's, which has just computed them.
        assert all(line["learner/sampler_difference_max"] < 1e-5 for line in whole)
    elif name == "ircoco":
        assert whole[4]["credit/advantage_abs"] != whole[0]["credit/advantage_abs"]
    else:
        assert any(key.startswith(("shaping/", "critic/")) for key in whole[4])


def untimed(lines):
    return [{name: value for name, value in line.items() if not is_timing(name)} for line in lines]


def test_dynamic_sampling_plays_on(tmp_path):
    # Here chance solves 1 in 10: a group of eight fails as a whole in 0.9⁸ = 43 % of cases, and is played anew.
    words = ["dynamic-sampling:on", "credit:grpo", "--rollout.group-size", "8"]
    metrics = train(tmp_path / "run", ROOMS, *words, iterations=4)
    for line in metrics:
        assert line["rollout/episodes"] == 8 * (2 + line["sampling/dropped_groups"])
        assert line["sampling/tries"] == 1 or line["sampling/dropped_groups"] > 0
        assert line["credit/silent_groups"] == 0.0 or line["sampling/tries"] == 10
    assert max(line["sampling/tries"] for line in metrics) > 1
    episodes = [json.loads(line) for line in (tmp_path / "run" / "episodes.jsonl").read_text().splitlines()]
    assert len(episodes) == 4 * 2 * 8
    # Of the same iterations in two parts, too.
    train(tmp_path / "parts", ROOMS, *words, iterations=2)
    assert main(["train", "--resume", str(tmp_path / "parts"), "--iterations", "4"]) == 0
    assert untimed(read(tmp_path / "parts")) == untimed(metrics)


def test_only_tasks_that_are_solved_now_and_then_are_trained_on(tmp_path):
    env = ("AgentGym/Rooms-v0", "regime=short", "layouts=8")
    words = ["--task-filter.episodes", "6", "--rollout.groups", "4"]
    train(tmp_path / "run", env, *words, iterations=2)
    state = json.loads((tmp_path / "run" / "checkpoints" / "step_00000002" / "trainer_state.json").read_text())
    kept = state["values"]["extras"]["tasks"]
    assert 0 < len(kept) < 8
    assert main(["train", "--resume", str(tmp_path / "run"), "--iterations", "4"]) == 0
    episodes = [json.loads(line) for line in (tmp_path / "run" / "episodes.jsonl").read_text().splitlines()]
    assert {line["task"] for line in episodes} <= set(kept)
    assert len(episodes) == 4 * 4 * 4


def test_a_filter_that_keeps_nothing_says_so(tmp_path, capsys):
    words = ["--env.settings", "regime=sparse", "layouts=1", "task-filter:on", "--model", "tabular"]
    assert main(["train", "--env", "AgentGym/Rooms-v0", *words, "--output-dir", str(tmp_path / "run")]) == 2
    assert "task_filter keeps none of 1 tasks" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "dpao"], "Did you mean 'dapo'?"),
        (["--method", "nowhere/own.toml"], "expected a TOML file, got 'nowhere/own.toml'"),
        (["--method", "ltl"], "shaping.ltl.levels must name formulas"),
        (["shaping:sap"], "Did you mean 'spa'?"),
        (["--shaping.sap.history", "1"], "Did you mean 'spa'?"),
        (["replay:yes"], "expected replay:on or replay:off"),
        (["credit:nowhere.at.all:Mine"], "there is no module 'nowhere'"),
        (["credit:examples.own_credit:ReturnsTogo"], "Did you mean 'ReturnsToGo'?"),
        (["credit:trainers.types:Group"], "must name a class with a method __call__ or assign"),
        (["credit:trainers.extras:Extras"], "must name a dataclass"),
        (["shaping:examples.own_credit:StepCost", "--shaping.own.cost", "much"], "much"),
    ],
)
def test_a_mistake_is_named(words, message, capsys, tmp_path):
    command = ["train", "--env", "AgentGym/Rooms-v0", "--model", "tabular", "--output-dir", str(tmp_path / "run")]
    with contextlib.suppress(SystemExit):  # of the option parser
        assert main([*command, *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


def test_a_method_is_changed_by_options_and_changes_a_file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('seed = 3\n[credit]\nmethod = "gigpo"\n[loss]\nkl_weight = 0.5\nclip_low = 0.1\n')
    verb = parse_train([str(path), "--method", "dapo", "--loss.clip-low", "0.3", "--dynamic-sampling.max-tries", "2"])
    assert verb.config.seed == 3
    assert verb.config.credit == Grpo()
    assert verb.config.loss == PpoLoss(clip_low=0.3, clip_high=0.28, kl_weight=0.0)
    assert verb.config.dynamic_sampling == DynamicSampling(max_tries=2)
    assert list(verb.config.shaping.chosen()) == ["overlong"]


def test_a_method_of_ones_own_is_a_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[credit]\nmethod = "examples.own_credit:ReturnsToGo"\ngamma = 0.5\n[shaping.calm]\n')
    config = parse_train(["--method", str(path), "--credit.gamma", "0.25"]).config
    assert config.credit == ReturnsToGo(gamma=0.25)
    assert list(config.shaping.chosen()) == ["calm"]
    study = tmp_path / "study.toml"
    study.write_text(
        'name = "s"\n[arenas.a]\n[methods.mine]\n'
        f'use = "{path}"\nconfig = {{ credit = {{ gamma = 0.75 }} }}\n[methods.dapo]\nuse = "dapo"\n'
    )
    mine, dapo = (load_study(study).config(Run(arena="a", method=name, seed=0)) for name in ("mine", "dapo"))
    assert (mine.credit, list(mine.shaping.chosen())) == (ReturnsToGo(gamma=0.75), ["calm"])
    assert (dapo.credit, dapo.loss) == (Grpo(), PpoLoss(clip_high=0.28, kl_weight=0.0))


def test_the_page_shows_every_method():
    assert updated(PAGE.read_text(encoding="utf-8")) == PAGE.read_text(encoding="utf-8"), (
        "python -m tools.write_methods_table brings docs/methods.md up to date"
    )


def test_every_method_says_what_it_is_for():
    for name in method_names():
        about = load_method(name).about
        assert {"title", "source", "helps", "fails"} <= about.keys(), name
        assert load_method(name).slots, name


def test_methods_are_listed(capsys):
    assert main(["methods"]) == 0
    told = capsys.readouterr().out
    assert "dapo: DAPO, Yu et al. 2025" in told
    assert "credit:grpo dynamic-sampling shaping:overlong loss:ppo" in told


def test_an_estimator_and_a_shaper_of_ones_own_train(tmp_path):
    """The commands of examples/own_credit.py."""
    words = ["credit:examples.own_credit:ReturnsToGo", "--credit.gamma", "0.9"]
    words += ["shaping:examples.own_credit:StepCost", "--shaping.own.cost", "0.2"]
    metrics = train(tmp_path / "run", ROOMS, *words)
    assert all(line["credit/advantage_abs"] > 0 for line in metrics)
    text = (tmp_path / "run" / "config.toml").read_text()
    assert '[shaping.own]\nmethod = "examples.own_credit:StepCost"\ncost = 0.2\n' in text
    assert '[credit]\nmethod = "examples.own_credit:ReturnsToGo"\ngamma = 0.9\n' in text
    config = load_config(tmp_path / "run" / "config.toml")
    assert config_from_table(tomllib.loads(to_toml(config))) == config
    assert main(["train", "--resume", str(tmp_path / "run"), "--iterations", "4"]) == 0
    assert untimed(read(tmp_path / "run"))[:3] == untimed(metrics)
    assert len(read(tmp_path / "run")) == 4


def test_an_estimator_of_ones_own_in_a_table():
    config = config_from_table({"credit": {"method": "examples.own_credit:ReturnsToGo", "gamma": 0.5}})
    assert config.credit == ReturnsToGo(gamma=0.5)
    with pytest.raises(BadOptionError, match=r"credit: expected a gamma between 0 and 1, got 2"):
        config_from_table({"credit": {"method": "examples.own_credit:ReturnsToGo", "gamma": 2}})
    with pytest.raises(BadOptionError, match=r"unknown key 'credit.gama'.* Did you mean 'gamma'\?"):
        config_from_table({"credit": {"method": "examples.own_credit:ReturnsToGo", "gama": 0.5}})
