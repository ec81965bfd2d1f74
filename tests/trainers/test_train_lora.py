"""A run that trains an adapter, in generated households: what it leaves behind, and that it goes on exactly."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.trainers.corridor import tiny_model
from trainers.callbacks import TrainerCallback
from trainers.cli import main, make_envs
from trainers.commands import load_policy
from trainers.config import ModelConfig, TrainConfig, config_from_table
from trainers.metrics import is_timing
from trainers.policies.load import load_model
from trainers.train import Trainer

peft = pytest.importorskip("peft")

RANK = 4


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"))


def settings(model, directory, iterations: int = 3) -> TrainConfig:
    return config_from_table(
        {
            "env": {
                "id": "AgentGym/ALFWorld-v0",
                "split": "generated_train",
                "num_envs": 4,
                "settings": {"action_format": "bare", "instructions": "", "max_episode_steps": 3},
            },
            "model": {"path": str(model), "lora_rank": RANK, "lora_alpha": 8.0},
            "rollout": {"groups": 2, "group_size": 2, "max_new_tokens": 4},
            # Nobody succeeds within three steps; that half of the answers are no commands is what there is to learn.
            "reward": {"invalid_penalty": 1.0, "penalise": "action"},
            "evaluation": {"split": "generated_valid", "tasks": 2, "every": 9},
            "learner": {"learning_rate": 0.05, "minibatches": 2},
            "loss": {"kl_weight": 0.01},
            "output": {"report_to": []},
            "iterations": iterations,
            "output_dir": str(directory),
        }
    )


def train(config, *, stop_after=None, resume=False):
    class StopAfter(TrainerCallback):
        def on_step_end(self, config, state, control, **kwargs):
            control.should_training_stop = state.iteration == stop_after

    env, policy = make_envs(config.env), load_policy(config.model, trained=True)
    Trainer(config, env=env, policy=policy, callbacks=[StopAfter()], resume=resume).train()
    env.close()
    return policy


def lines_of(directory):
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if not is_timing(name)} for line in lines]


@pytest.fixture(scope="module")
def whole_run(model, tmp_path_factory):
    """Three iterations without interruption, and the policy as it is after them."""
    directory = tmp_path_factory.mktemp("runs") / "whole"
    return directory, train(settings(model, directory))


def test_an_adapter_learns_and_its_base_does_not(whole_run, model):
    _, policy = whole_run
    base = load_model(model)[0]
    trained = {name for name, weight in policy.model.named_parameters() if weight.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    ids = torch.arange(5, 25)[None]
    with torch.no_grad():
        with policy.model.disable_adapter():
            assert torch.equal(policy.model(ids).logits, base(ids).logits)
        assert not torch.allclose(policy.model(ids).logits, base(ids).logits, atol=1e-3)


def test_the_divergence_is_to_the_base_without_the_adapter(whole_run):
    directory, _ = whole_run
    kl = [line["learner/kl"] for line in lines_of(directory)[:3]]
    # The first of an iteration's two steps is of an adapter that is nothing yet.
    assert kl[0] < kl[2]
    assert min(kl) >= 0
    assert all(line["learner/sampler_difference_max"] < 1e-4 for line in lines_of(directory)[:3])


def test_its_checkpoint_is_an_adapter_that_peft_loads(whole_run, model):
    directory, policy = whole_run
    newest = directory / "checkpoints" / "step_00000003"
    assert (newest / "adapter_model.safetensors").is_file()
    assert not (newest / "model.safetensors").exists()
    found = json.loads((newest / "adapter_config.json").read_text())
    assert (found["r"], found["lora_alpha"], found["peft_type"]) == (RANK, 8.0, "LORA")
    loaded = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model), newest)
    ids = torch.arange(5, 25)[None]
    with torch.no_grad():
        assert torch.equal(loaded(ids).logits, policy.model(ids).logits)


def test_it_goes_on_bit_for_bit(whole_run, model, tmp_path):
    directory = tmp_path / "resumed"
    train(settings(model, directory), stop_after=1)
    policy = train(settings(model, directory), resume=True)
    assert lines_of(directory) == lines_of(whole_run[0])
    theirs = dict(whole_run[1].model.named_parameters())
    assert all(torch.equal(weight, theirs[name]) for name, weight in policy.model.named_parameters())


def test_eval_takes_its_checkpoint(whole_run, capsys):
    directory, policy = whole_run
    loaded = load_policy(ModelConfig(path=str(directory / "checkpoints" / "step_00000003")), trained=False)
    ids = torch.arange(5, 25)[None]
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(ids).logits, policy.model(ids).logits, atol=1e-5, rtol=0)
    best = directory / "checkpoints" / "best"
    assert main(["eval", "--model", str(best), "--split", "generated_valid", "--tasks", "2"]) == 0
    assert "generated_valid" in capsys.readouterr().out
    summary = json.loads((directory / "eval" / "generated_valid" / "summary.json").read_text())
    assert summary["task_list"]["tasks"] == 2
    assert summary["model"]["sha256"]
