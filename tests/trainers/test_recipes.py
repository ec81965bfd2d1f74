import dataclasses
import importlib.util

import pytest

from agent_gym.errors import BadOptionError
from trainers.cli import main, make_envs
from trainers.credit import Gigpo
from trainers.policies.load import load_model
from trainers.policies.tiny import TinySettings
from trainers.recipes import RECIPES, alfworld_tiny, load_recipe


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_what_it_trains_in(name):
    config = load_recipe(name).CONFIG
    assert config.env.id
    assert config.evaluation.split != config.env.split


def test_no_such_recipe():
    with pytest.raises(BadOptionError, match="Did you mean 'alfworld-tiny'"):
        load_recipe("alfworld-tiney")


def test_alfworld_tiny_makes_its_model_once(tmp_path, monkeypatch):
    small = dataclasses.replace(alfworld_tiny.SFT, episodes=4, rounds=2)
    monkeypatch.setattr(alfworld_tiny, "SFT", small)
    monkeypatch.setattr(alfworld_tiny, "VOCABULARY_EPISODES", 3)
    monkeypatch.setattr(alfworld_tiny, "TINY", TinySettings(hidden_size=32, layers=1, heads=2, vocabulary=400))
    config = dataclasses.replace(alfworld_tiny.CONFIG, env=dataclasses.replace(alfworld_tiny.CONFIG.env, num_envs=2))
    env = make_envs(config.env)
    told: list[str] = []
    ready = alfworld_tiny.prepare(config, env, tmp_path, told.append)
    load_model(ready.model.path)
    assert "imitation 2 of 2" in told[-1]
    again: list[str] = []
    assert alfworld_tiny.prepare(config, env, tmp_path, again.append) == ready
    assert not again
    assert alfworld_tiny.prepare(ready, env, tmp_path / "other", again.append) == ready
    env.close()


@pytest.mark.parametrize("name", [name for name in RECIPES if "qwen" in name])
def test_the_published_experiments(name):
    config = load_recipe(name).CONFIG
    assert (config.rollout.groups, config.rollout.group_size, config.iterations) == (16, 8, 150)
    assert config.credit == Gigpo(gamma=0.95, step_weight=1.0, normalise=name.startswith("alfworld"))
    assert (config.learner.learning_rate, config.loss.kl_weight) == (1e-6, 0.01)
    assert (config.reward.scale, config.reward.invalid_penalty) == (10.0, 0.1)
    assert config.learner.minibatch_size == (256 if name.startswith("alfworld") else 64)


VLLM = "vLLM samples, and it is not installed: pip install 'agent-gym[vllm]'"


def missing(told):
    return told.partition("Before it can run: ")[2].partition("\n")[0]


def test_a_published_experiment_finds_the_published_games(alfworld_data, capsys, monkeypatch):
    monkeypatch.setenv("ALFWORLD_DATA", str(alfworld_data))
    assert main(["train", "--recipe", "alfworld-qwen-1.5b", "--dry-run"]) == 0
    assert missing(capsys.readouterr().out) == (VLLM if importlib.util.find_spec("vllm") is None else "")


def test_a_published_experiment_finds_the_published_shop(webshop_data, capsys, monkeypatch):
    pytest.importorskip("bm25s", reason="needs the extra webshop")
    monkeypatch.setenv("WEBSHOP_DATA", str(webshop_data))
    assert main(["train", "--recipe", "webshop-qwen-7b", "--dry-run"]) == 0
    assert missing(capsys.readouterr().out) == (VLLM if importlib.util.find_spec("vllm") is None else "")
