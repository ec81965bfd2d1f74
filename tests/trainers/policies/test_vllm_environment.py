"""What an engine's processes find in their environment, whether vLLM is installed or not."""

import os

from trainers.policies.vllm_engine import engine_environment, own_settings

# What torchrun 2.13 sets for a rank, and what the engine must not take for its own place.
OF_A_RANK = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "3", "LOCAL_WORLD_SIZE": "4", "MASTER_ADDR": "localhost"}
OF_A_RANK |= {"MASTER_PORT": "29500", "GROUP_RANK": "0", "ROLE_RANK": "3", "TORCHELASTIC_USE_AGENT_STORE": "True"}


def test_an_engine_is_nobodys_peer(monkeypatch):
    for name, value in OF_A_RANK.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RANKING", "kept")
    monkeypatch.delenv("TORCHDYNAMO_DISABLE", raising=False)
    with engine_environment(own_settings(on_cpu=True)):
        assert not OF_A_RANK.keys() & os.environ.keys()
        assert os.environ["RANKING"] == "kept"
        assert os.environ["TORCHDYNAMO_DISABLE"] == "1"
    assert OF_A_RANK.items() <= os.environ.items()
    assert "TORCHDYNAMO_DISABLE" not in os.environ


def test_who_wants_compilation_gets_it(monkeypatch):
    monkeypatch.setenv("TORCHDYNAMO_DISABLE", "0")
    with engine_environment(own_settings(on_cpu=True)):
        assert os.environ["TORCHDYNAMO_DISABLE"] == "0"


def test_a_ranks_engine_works_on_its_own_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.current_device", lambda: 1)  # there is none here
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert own_settings(on_cpu=False)["CUDA_VISIBLE_DEVICES"] == "1"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, 6")  # of a machine's eight
    assert own_settings(on_cpu=False)["CUDA_VISIBLE_DEVICES"] == "6"
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert "CUDA_VISIBLE_DEVICES" not in own_settings(on_cpu=False)
