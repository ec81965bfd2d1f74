"""Ranks that torchrun has started, each with an engine of its own: the way of the published experiments, on CPUs."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("vllm", reason="`make test-vllm` installs it in an environment of its own")

from tests.vllm.models import CACHE_GIB, small_model

# Its engines begin with a fresh copy of the program, which must not train again.
PROGRAM = "import sys\nfrom trainers.cli import main\nif __name__ == '__main__':\n    sys.exit(main(sys.argv[1:]))\n"


def test_two_ranks_play_with_engines_of_their_own_and_learn_in_pieces(root, tmp_path):
    run, program, model = tmp_path / "run", tmp_path / "program.py", small_model(tmp_path / "model", context=2048)
    program.write_text(PROGRAM)
    words = ["train", "--env", "AgentGym/Rooms-v0", "--model", str(model), "--output-dir", str(run)]
    words += ["--sampler.engine", "vllm", "--sampler.cache-gib", str(CACHE_GIB), "--iterations", "2"]
    words += ["--rollout.groups", "2", "--rollout.group-size", "3", "--rollout.max-new-tokens", "8"]
    words += ["--rollout.max-turns", "3", "--env.num-envs", "4", "--learner.learning-rate", "0.01"]
    words += ["--learner.sharding", "fsdp2", "--learner.gradient-checkpointing", "--learner.logit-chunk", "16"]
    words += ["--evaluation.split", "test", "--evaluation.tasks", "4", "--output.report-to"]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(program)]
    env = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *words], env=env, cwd=root, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    played = [line for line in logged if "rollout/failed" in line]
    assert [line["iteration"] for line in played] == [0, 1]
    for line in played:
        assert line["rollout/failed"] == 0
        # Over the samples of both ranks: in the second iteration each engine has the update's weights.
        assert line["learner/importance_weight"] == pytest.approx(1.0, abs=1e-4)
        assert line["learner/sampler_difference_max"] < 2e-5
    assert played[1]["learner/kl"] > 1e-3, "the update has moved them"
