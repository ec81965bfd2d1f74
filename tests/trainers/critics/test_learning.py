"""Methods with a critic learn, by their names; and a run with one goes on exactly."""

import json

import numpy as np
import pytest

from tests.trainers.corridor import corridor, small_config, tiny_model
from trainers.config import config_from_table
from trainers.methods import apply_method
from trainers.metrics import is_timing
from trainers.policies.hf import HfPolicy
from trainers.policies.load import load_model
from trainers.policies.tabular import TabularPolicy
from trainers.train import Trainer
from wrappers import make_llm_vec

ROOMS = "AgentGym/Rooms-v0"


def lines_of(directory):
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if not is_timing(name)} for line in lines]


def curve(method, directory, seed, iterations, **changes):
    """Metrics of each iteration in five rooms, 20 steps: two groups of eight episodes, plain gradient descent."""
    named = apply_method(method, config_from_table({"reward": {"scale": 10.0}}))
    table = {
        "env": {"id": ROOMS, "split": "train", "num_envs": 16, "settings": {"layouts": 1}},
        "rollout": {"groups": 2, "group_size": 8},
        "loss": {"kl_weight": 0.0},
        "learner": {"optimiser": "sgd", "learning_rate": 3.0, "max_grad_norm": 1e9},
        "output": {"save_steps": iterations, "report_to": [], "episodes": False},
        "iterations": iterations,
        "seed": seed,
        "output_dir": str(directory),
    }
    env = make_llm_vec(ROOMS, 16, layouts=1)
    Trainer(config_from_table(table | changes, named), env=env, policy=TabularPolicy()).train()
    return lines_of(directory)


@pytest.mark.parametrize("method", ["ppo", "ppo-turn", "ppo-bilevel", "ma-rlhf"])
def test_ppo_learns_in_rooms_and_its_critic_knows_what_to_expect(method, tmp_path):
    critic = {"value_clip": "none"}
    for seed in range(2):
        lines = curve(method, tmp_path / str(seed), seed, 30, critic=critic)
        success = [line["rollout/success"] for line in lines]
        # Chance succeeds in some 15 % of episodes.
        assert np.mean(success[:2]) < 0.5
        assert np.mean(success[-5:]) > 0.9
        # It said 0, then about as much as came: success pays 10. How much of the variance it explains would say little
        # at the end, where all episodes earn the same.
        assert lines[0]["critic/value"] == 0
        assert lines[-1]["critic/value"] > 7
        assert abs(lines[-1]["critic/value"] - lines[-1]["critic/target"]) < 1


def test_archer_learns_in_rooms_once_its_critic_has_warmed_up(tmp_path):
    for seed in range(2):
        critic = {"warmup_iterations": 3}
        lines = curve("archer", tmp_path / str(seed), seed, 25, critic=critic)
        assert all("learner/grad_norm" not in line for line in lines[:3])
        assert all("learner/grad_norm" in line for line in lines[3:])
        success = [line["rollout/success"] for line in lines]
        assert np.mean(success[:3]) < 0.5
        assert np.mean(success[-5:]) > 0.9


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("adapter", [0, 4])
def test_a_value_head_trains_and_goes_on_exactly(adapter, model, tmp_path):
    pytest.importorskip("peft")
    from trainers.commands import load_policy

    def train(directory, iterations, resume=False):
        config = small_config(
            directory,
            model={"path": str(model), "lora_rank": adapter},
            credit={"method": "gae"},
            reward={"invalid_penalty": 1.0, "penalise": "action"},
            evaluation={"split": ""},
            iterations=iterations,
        )
        policy = load_policy(config.model, trained=True)
        Trainer(config, env=corridor(4, max_episode_steps=3), policy=policy, resume=resume).train()
        return lines_of(directory)

    whole = train(tmp_path / "whole", 3)
    train(tmp_path / "parts", 2)
    parts = train(tmp_path / "parts", 3, resume=True)
    assert parts == whole
    assert whole[-1]["critic/grad_norm"] > 0
    assert whole[0]["critic/value"] == 0
    assert whole[-1]["critic/value"] != 0
    # What peft or vLLM load is the plain adapter or model: the head lies in the trainer's own file.
    checkpoint = max((tmp_path / "whole" / "checkpoints").glob("step_*"))
    weights = checkpoint / ("adapter_model.safetensors" if adapter else "model.safetensors")
    from safetensors.torch import load_file

    assert not any("critic" in name or "head.linear" in name for name in load_file(weights))
    assert "critic.head.linear.weight" in load_file(checkpoint / "trainer_state.safetensors")


def test_a_run_without_a_critic_has_nothing_of_it(model, tmp_path):
    config = small_config(tmp_path / "run", credit={"method": "grpo"}, critic={"warmup_iterations": 1}, iterations=1)
    trainer = Trainer(config, env=corridor(4), policy=HfPolicy(*load_model(model)))
    trainer.train()
    assert trainer.students[0].critic.critic is None
    assert trainer.students[0].critic.state().tensors == {}
    [line] = [line for line in lines_of(tmp_path / "run") if "rollout/episodes" in line]
    assert not any(name.startswith("critic/") for name in line)
    assert "learner/grad_norm" in line  # nothing waits for a critic that is not there
