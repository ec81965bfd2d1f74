"""Rollout workers of a Ray cluster, each with a real engine of its own, and a learner that sends them its weights."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("vllm", reason="`make test-vllm` installs it in an environment of its own")
pytest.importorskip("ray", reason="`make test-vllm` installs it beside vLLM")

from tests.vllm.models import CACHE_GIB, small_model

PROGRAM = "import sys\nfrom trainers.cli import main\nif __name__ == '__main__':\n    sys.exit(main(sys.argv[1:]))\n"


@pytest.mark.parametrize("staleness", [0, 1])
def test_workers_play_with_engines_of_their_own(root, tmp_path, staleness):
    run, program, model = tmp_path / "run", tmp_path / "program.py", small_model(tmp_path / "model", context=2048)
    program.write_text(PROGRAM)
    words = ["train", "--env", "AgentGym/Rooms-v0", "--model", str(model), "--output-dir", str(run)]
    words += ["--sampler.engine", "vllm", "--sampler.cache-gib", str(CACHE_GIB), "--iterations", "3"]
    words += ["--rollout.groups", "2", "--rollout.group-size", "3", "--rollout.max-new-tokens", "8"]
    words += ["--rollout.max-turns", "3", "--env.num-envs", "4", "--learner.learning-rate", "0.01"]
    words += ["--ray", "auto", "--ray.workers", "2", "--ray.staleness", str(staleness), "--output.report-to"]
    env = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(program), *words], env=env, cwd=root, capture_output=True, text=True, timeout=1200
    )
    assert done.returncode == 0, done.stderr[-3000:]
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    played = [line for line in logged if "rollout/failed" in line]
    assert [line["iteration"] for line in played] == [0, 1, 2]
    for line in played:
        assert line["rollout/failed"] == 0
        same = not staleness or line["iteration"] == 0
        # An engine's weights are the learner's, or those of one update before.
        assert (line["learner/sampler_difference_max"] < 2e-5) == same
        assert line["learner/importance_weight"] == pytest.approx(1.0, abs=1e-4 if same else 0.5)
    assert played[-1]["learner/kl"] > 1e-3, "the updates have moved them"
