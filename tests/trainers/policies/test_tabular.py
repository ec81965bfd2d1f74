"""A table in the place of a language model."""

import json
import math
from typing import Any

import pytest
import torch

from agent_gym import keys
from agent_gym.errors import BadOptionError
from agent_gym.vector import Frame
from trainers.checkpoint import CheckpointError
from trainers.cli import main
from trainers.config import config_from_table
from trainers.credit import Grpo
from trainers.learner import Learner
from trainers.losses.ppo import PpoLoss
from trainers.policies.base import ModelError, Request, Sampling
from trainers.policies.tabular import TabularModel, TabularPolicy, TabularSettings, is_tabular
from trainers.rollout import play
from trainers.samples import build_samples
from trainers.settings import LearnerSettings
from trainers.train import Trainer
from trainers.types import Episode, Group, Turn
from wrappers import make_llm_vec

ROOMS = "AgentGym/Rooms-v0"


def request(key="s", commands=("a", "b", "c"), seed=0, temperature=1.0, observation="", task="t"):
    info = {keys.STATE_KEY: key, keys.ADMISSIBLE_ACTIONS: commands, keys.TASK: task}
    return Request(
        prompt_ids=(0,),
        sampling=Sampling(temperature=temperature),
        seed=seed,
        frame=Frame(observation, 0.0, False, False, info),
    )


def config(output_dir, *, regime="short", groups=2, context="conversation", **changes):
    table: dict[str, Any] = {
        "env": {
            "id": ROOMS,
            "split": "train",
            "context": context,
            "num_envs": 8,
            "settings": {"regime": regime, "layouts": 1},
        },
        "rollout": {"groups": groups, "group_size": 8, "max_new_tokens": 1},
        "learner": {"learning_rate": 0.1},
        "loss": {"kl_weight": 0.0},
        "output": {"report_to": [], "episodes": False},
        "iterations": 4,
        "output_dir": str(output_dir),
    }
    for name, value in changes.items():
        table[name] = table.get(name, {}) | value if isinstance(value, dict) else value
    return config_from_table(table)


def table_of(policy) -> TabularModel:
    """A policy's model, by its type: to the trainer it is any module."""
    assert isinstance(policy.model, TabularModel)
    return policy.model


def envs(settings):
    return make_llm_vec(settings.env.id, settings.env.num_envs, context=settings.env.context, **settings.env.settings)


def train(settings, policy=None, resume=False):
    policy = policy or TabularPolicy()
    Trainer(settings, env=envs(settings), policy=policy, resume=resume).train()
    return policy


def metrics(settings):
    with open(settings.output_dir + "/metrics.jsonl", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return [
        {name: value for name, value in line.items() if not name.startswith(("time/", "speed/", "memory/"))}
        for line in lines
    ]


def test_a_fresh_table_draws_each_admissible_command_alike():
    policy = TabularPolicy(form="{command}")
    drawn = [policy.complete([request(seed=seed)])[0] for seed in range(600)]
    assert all(one.logprobs == pytest.approx((math.log(1 / 3),)) for one in drawn)
    texts = [policy.codec.decode(one.token_ids) for one in drawn]
    for command in "abc":
        assert 150 < texts.count(command) < 250  # 200 expected, standard deviation 11.5


def test_what_is_not_admissible_is_never_drawn():
    policy = TabularPolicy(form="{command}")
    policy.complete([request("all", ("a", "b", "c", "d"))])
    with torch.no_grad():
        table_of(policy).table.weight[:, 3] = 50.0  # "d" would be all but certain
    drawn = policy.complete([request("few", ("a", "c"), seed=seed) for seed in range(50)])
    assert {policy.codec.decode(one.token_ids) for one in drawn} == {"a", "c"}
    assert policy.probabilities("few") == pytest.approx({"a": 0.5, "c": 0.5})
    assert policy.probabilities("all")["d"] == pytest.approx(1.0)


def test_probabilities_are_the_softmax_of_the_row_and_greedy_takes_the_largest():
    policy = TabularPolicy(form="{command}")
    policy.complete([request()])
    with torch.no_grad():
        table_of(policy).table.weight[0, :3] = torch.tensor([0.0, math.log(2.0), math.log(5.0)])
    assert policy.probabilities("s") == pytest.approx({"a": 1 / 8, "b": 2 / 8, "c": 5 / 8})
    [greedy] = policy.complete([request(temperature=0.0)])
    assert policy.codec.decode(greedy.token_ids) == "c"
    assert greedy.logprobs == pytest.approx((math.log(5 / 8),))


@pytest.mark.parametrize(("key", "rows"), [("state", 2), ("observation", 3), ("task", 1)])
def test_the_key_decides_what_has_a_row_of_its_own(key, rows):
    policy = TabularPolicy(settings=TabularSettings(key=key))
    for state, said in (("s", "x"), ("s", "y"), ("r", "z")):
        policy.complete([request(state, observation=said)])
    assert len(table_of(policy).names.states) == rows


@pytest.mark.parametrize("context", ["step", "conversation"])
def test_the_learner_computes_the_probabilities_that_were_drawn_from(tmp_path, context):
    settings = config(tmp_path / "run", context=context)
    policy = train(settings)
    env = envs(settings).slots
    groups, _ = play(
        policy,
        env,
        env.tasks("train")[:1],
        group_size=4,
        sampling=Sampling(max_new_tokens=1),
        context=context,
        seed=5,
    )
    samples = build_samples(groups, None, context)
    for sample, learnt in zip(samples, Learner(policy.model).logprobs(samples), strict=True):
        drawn = torch.from_numpy(sample.old_logprobs[sample.action_mask])
        assert torch.allclose(learnt, drawn, atol=1e-5, rtol=0)
        assert drawn.max() < 0


def test_one_step_of_gradient_descent_by_hand():
    """Two episodes of one turn in one state with two commands: "a" pays 1, "b" nothing. GRPO's advantages are ±1/√2, π
    is 1/2. The gradient of −mean(A·log π) at the logit of "a" is −½(1/√2·½ + 1/√2·½) = −1/(2√2) = −.353553."""
    policy = TabularPolicy(form="{command}")
    episodes = []
    for command, reward in (("a", 1.0), ("b", 0.0)):
        drawn = next(
            one
            for one in (policy.complete([request(commands=("a", "b"), seed=seed)])[0] for seed in range(99))
            if policy.codec.decode(one.token_ids) == command
        )
        episodes.append(Episode(turns=(Turn(completion=drawn, state_key="s", reward=reward),)))
    group = Group(task="t", episodes=tuple(episodes))
    settings = LearnerSettings(optimiser="sgd", learning_rate=1.0, max_grad_norm=math.inf)
    learner = Learner(policy.model, settings, PpoLoss(kl_weight=0.0))
    learner.update(build_samples([group], [Grpo()(group)], "step"))
    logits = table_of(policy).table.weight[0, :2]
    assert logits.tolist() == pytest.approx([0.353553, -0.353553], abs=1e-5)
    assert policy.probabilities("s")["a"] == pytest.approx(1 / (1 + math.exp(-0.707107)), abs=1e-5)
    assert table_of(policy).table.weight[1:].abs().max() == 0


def test_both_contexts_learn_the_same(tmp_path):
    tables = [
        table_of(train(config(tmp_path / context, context=context))).table.weight
        for context in ("step", "conversation")
    ]
    assert tables[0].abs().max() > 0.1
    assert torch.allclose(tables[0], tables[1], atol=1e-4)


def test_a_resumed_run_goes_on_bit_for_bit(tmp_path):
    whole = train(config(tmp_path / "whole"))
    train(config(tmp_path / "parts", iterations=2))
    resumed = train(config(tmp_path / "parts"), resume=True)
    assert torch.equal(table_of(whole).table.weight, table_of(resumed).table.weight)
    assert table_of(whole).names.contents() == table_of(resumed).names.contents()
    assert metrics(config(tmp_path / "whole")) == metrics(config(tmp_path / "parts"))


def test_a_saved_table_is_read_back_with_its_names(tmp_path):
    policy = train(config(tmp_path / "run"))
    policy.model.save_pretrained(str(tmp_path / "saved"))
    assert is_tabular(tmp_path / "saved")
    assert not is_tabular(tmp_path)
    again = TabularPolicy.load(tmp_path / "saved")
    for key in table_of(policy).names.states:
        assert again.probabilities(key) == policy.probabilities(key)
    assert any(max(policy.probabilities(key).values()) > 0.3 for key in table_of(policy).names.states)


def test_the_reference_knows_states_that_are_met_later(tmp_path):
    settings = config(tmp_path / "run", loss={"kl_weight": 0.1})
    train(settings)
    divergences = [line["learner/kl"] for line in metrics(settings)]
    # To the uniform policy over four doors: 0 at the start, and never more than log 4.
    assert divergences[0] == pytest.approx(0.0, abs=1e-6)
    assert 0 < divergences[-1] < math.log(4)


def test_a_word_makes_a_fresh_table():
    assert is_tabular("tabular")
    assert is_tabular("tabular:task")
    assert table_of(TabularPolicy.load("tabular")).settings == TabularSettings()
    assert table_of(TabularPolicy.load("tabular:task")).settings.key == "task"
    assert table_of(TabularPolicy.load("tabular:task:400")).settings == TabularSettings(key="task", commands=400)
    assert table_of(TabularPolicy.load("tabular::20")).settings == TabularSettings(commands=20)
    assert table_of(TabularPolicy.load("tabular::20:300")).settings == TabularSettings(commands=20, states=300)
    assert table_of(TabularPolicy.load("tabular:task::300")).settings == TabularSettings(key="task", states=300)
    with pytest.raises(ModelError, match="key must be"):
        TabularPolicy.load("tabular:words")
    for wrong in ("many", "0", "-1", "²", "4:no", "4:5:6"):
        with pytest.raises(ModelError, match="expected"):
            TabularPolicy.load(f"tabular:state:{wrong}")


def test_a_full_table_says_what_to_do():
    policy = TabularPolicy(settings=TabularSettings(states=2, commands=3))
    policy.complete([request("s"), request("r")])
    with pytest.raises(BadOptionError, match=r"at most 2 states.*make the table larger"):
        policy.complete([request("q")])
    policy = TabularPolicy(settings=TabularSettings(states=2, commands=3))
    with pytest.raises(BadOptionError, match=r"at most 3 different commands.*'d'.*make the table wider"):
        policy.complete([request("s", ("a", "b", "c", "d"))])


def test_what_a_table_can_not_do_is_refused(tmp_path, monkeypatch):
    policy = TabularPolicy()
    with pytest.raises(ModelError, match="can't imitate"):
        policy.codec.encode_answer("a")
    with pytest.raises(BadOptionError, match="admissible"):
        policy.complete([request(commands=())])
    with pytest.raises(BadOptionError, match="state that was met"):
        policy.probabilities("nowhere")
    with pytest.raises(ModelError, match="saved table"):
        TabularModel.from_pretrained(tmp_path)
    with pytest.raises(ModelError, match="key must be"):
        TabularSettings(key="words")  # type: ignore[arg-type]  # what is refused
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(BadOptionError, match="one process"):
        TabularPolicy()


def test_a_checkpoint_of_another_size_is_refused(tmp_path):
    train(config(tmp_path / "run", iterations=1))
    with pytest.raises(CheckpointError, match="do not fit"):
        train(config(tmp_path / "run"), TabularPolicy(settings=TabularSettings(states=8)), resume=True)


def test_where_all_succeed_gigpo_shortens_episodes_and_grpo_has_no_signal(tmp_path):
    """S1 of the literature: 5 rooms and 200 steps. Chance needs 60 steps on average, the optimum is 5."""
    runs = {}
    for method in ("gigpo", "grpo"):
        settings = config(tmp_path / method, regime="slow", iterations=25, credit={"method": method}, seed=1)
        train(settings)
        runs[method] = metrics(settings)
    lengths = {
        method: [sum(line["rollout/length"] for line in part) / 3 for part in (lines[:3], lines[-3:])]
        for method, lines in runs.items()
    }
    silent = {
        method: sum(line["credit/silent_groups"] for line in lines) / len(lines) for method, lines in runs.items()
    }
    assert lengths["gigpo"][0] > 25
    assert lengths["gigpo"][1] < 8
    assert silent["gigpo"] < 0.1
    assert silent["grpo"] > 0.6
    assert lengths["grpo"][1] > 2 * lengths["gigpo"][1]


def test_the_command_line_trains_and_evaluates_a_table(tmp_path, capsys):
    run = tmp_path / "run"
    words = ["--env", ROOMS, "--model", "tabular", "--output-dir", str(run), "--iterations", "2"]
    words += ["--env.settings", "layouts=1", "--env.num-envs", "8", "--rollout.groups", "1", "--output.report-to"]
    assert main(["train", *words]) == 0
    latest = sorted((run / "checkpoints").iterdir())[-1]
    assert is_tabular(latest)
    words = ["--env", ROOMS, "--model", str(latest), "--split", "train", "--output-dir", str(tmp_path / "eval")]
    assert main(["eval", *words]) == 0
    assert "written to" in capsys.readouterr().out
    assert json.loads((tmp_path / "eval" / "summary.json").read_text())["task_list"]["tasks"] == 1
