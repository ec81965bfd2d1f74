"""What an engine's processes find in their environment, whether vLLM is installed or not."""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from trainers.policies import vllm_engine
from trainers.policies.vllm_engine import engine_environment, own_settings
from trainers.policies.vllm_worker import OWNER

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


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux tells when another process ends")
@pytest.mark.parametrize("early", [True, False])
def test_an_engine_ends_with_the_process_that_it_works_for(early, root):
    owner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    settings = os.environ | {"PYTHONPATH": str(root), OWNER: str(owner.pid)}
    works = "import time, trainers.policies.vllm_worker; print('ready', flush=True); time.sleep(600)"

    def end() -> None:
        owner.kill()  # it can tell nobody
        owner.wait()

    if early:
        end()
    with subprocess.Popen([sys.executable, "-c", works], env=settings, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        if not early:
            assert engine.stdout.readline() == "ready\n"
            assert engine.poll() is None
            end()
        assert engine.wait(timeout=600) == -signal.SIGKILL


def test_weights_travel_through_memory_where_it_holds_those_of_all_ranks(tmp_path, monkeypatch):
    # 2,000 weights of two bytes are 4,000 from each rank, and a tenth to spare; 10,000 bytes are free.
    model = torch.nn.Linear(1000, 2, bias=False)
    monkeypatch.setattr(vllm_engine, "_SHARED_MEMORY", tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10_000))
    for ranks, place in ((1, str(tmp_path)), (2, str(tmp_path)), (3, None)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(ranks))
        assert vllm_engine._room_for(model, torch.bfloat16) == place
