"""Training, evaluation and a server with the real vLLM, as the command line starts them."""

import json
import os
import subprocess
import sys
import time
import urllib.request

import pytest

pytest.importorskip("vllm", reason="`make test-vllm` installs it in an environment of its own")

from tests.ports import free_port
from tests.vllm.models import CACHE_GIB, small_model
from trainers.cli import main

CONTEXT = 2048
ROOMS = ["--env", "AgentGym/Rooms-v0"]
ENGINE = ["--sampler.engine", "vllm", "--sampler.cache-gib", str(CACHE_GIB)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return small_model(tmp_path_factory.mktemp("models") / "small", CONTEXT)


def results(directory):
    return json.loads((directory / "summary.json").read_text())["per_task"]


def test_a_run_trains_and_its_model_is_evaluated_alike_by_both_engines(model, tmp_path):
    run = tmp_path / "run"
    play = ["--rollout.groups", "2", "--rollout.group-size", "3", "--rollout.max-new-tokens", "8"]
    small = ["--iterations", "2", "--env.num-envs", "4", "--rollout.max-turns", "3", "--learner.learning-rate", "0.01"]
    start = ["train", *ROOMS, "--model", str(model), "--output-dir", str(run), "--output.report-to"]
    assert main([*start, *ENGINE, *play, *small]) == 0
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in logged] == [0, 1]
    for line in logged:
        assert line["rollout/failed"] == 0
        # Both hold the same weights in float32, so the correction is there and has next to nothing to correct, in the
        # second iteration too: the engine has taken the learner's update.
        assert line["learner/importance_weight"] == pytest.approx(1.0, abs=1e-4)
        assert line["learner/importance_capped"] == 0
        assert line["time/sync_s"] > 0
        assert 0 < line["rollout/cached_prompt_share"] < 1
    checkpoint = sorted((run / "checkpoints").glob("step_*"))[-1]
    found = []
    for engine in (["--sampler.engine", "transformers"], ENGINE):
        directory = tmp_path / engine[1]
        options = ["--split", "test", "--tasks", "3", "--max-new-tokens", "8", "--output-dir", str(directory)]
        assert main(["eval", "--model", str(checkpoint), *options, *engine]) == 0
        found.append((results(directory), (directory / "episodes.jsonl").read_text()))
    assert found[0] == found[1]


def test_a_vllm_server_is_evaluated_over_its_interface(model, tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model), "--port", str(port)]
    options = ["--served-model-name", "small", "--dtype", "float32", "--enforce-eager", "--host", "127.0.0.1"]
    cache = ["--kv-cache-memory-bytes", str(int(CACHE_GIB * 2**30)), "--max-model-len", str(CONTEXT)]
    env = os.environ | {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_NO_USAGE_STATS": "1", "TORCHDYNAMO_DISABLE": "1"}
    address = f"http://127.0.0.1:{port}"
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen([*command, *options, *cache], stdout=log, stderr=log, env=env)
    try:
        wait_for(server, f"{address}/health", tmp_path / "log")
        play = ["--split", "test", "--tasks", "3", "--max-new-tokens", "8", "--env.settings", "max_episode_steps=3"]
        both = [["--server", f"{address}/v1"], ["--model", str(model)]]
        for name, source in zip(("server", "here"), both, strict=True):
            assert main(["eval", *ROOMS, *play, *source, "--output-dir", str(tmp_path / name)]) == 0
    finally:
        server.terminate()
        server.wait(600)
    told = json.loads((tmp_path / "server" / "summary.json").read_text())
    assert told["model"]["name"] == "small"
    assert told["all"]["failed"] == 0
    tokens = told["model"]["tokens"]
    assert tokens["answers_without_a_count"] == 0
    assert tokens["prompt"] > tokens["completion"] > 0
    # Greedily, and with the same text to read, it plays as the model does here.
    answers = [
        [
            [turn["answer"] for turn in json.loads(line)["turns"]]
            for line in (tmp_path / name / "episodes.jsonl").read_text().splitlines()
        ]
        for name in ("server", "here")
    ]
    assert [episode[0] for episode in answers[0]] == [episode[0] for episode in answers[1]]


def wait_for(server, url, log):
    """Until the server is up; starting takes half a minute, and many times that on a busy machine."""
    for _ in range(1800):
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=5)
        except OSError:
            time.sleep(1.0)
        else:
            return
    raise AssertionError(f"the server did not start: {log.read_text()[-2000:]}")
