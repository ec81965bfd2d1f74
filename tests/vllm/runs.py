"""Whole runs of the command line with vLLM's engine, in a program of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.vllm.models import CACHE_GIB, small_model

# Engines begin with a fresh copy of the program, which must not train again.
_PROGRAM = "import sys\nfrom trainers.cli import main\nif __name__ == '__main__':\n    sys.exit(main(sys.argv[1:]))\n"


def train(root: Path, directory: Path, *words: str, launcher: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Train a small model in Rooms, and return what each iteration logged.

    Args:
        root: Of the checkout.
        directory: Empty; for everything that comes of it.
        *words: For the command line, beside what all runs here have.
        launcher: Module of Python that starts the program, and its words.
    """
    run, program, model = directory / "run", directory / "program.py", small_model(directory / "model", context=2048)
    program.write_text(_PROGRAM)
    command = [sys.executable, *launcher, str(program), "train", "--env", "AgentGym/Rooms-v0", "--model", str(model)]
    command += ["--output-dir", str(run), "--output.report-to", "--env.num-envs", "4"]
    command += ["--learner.learning-rate", "0.01", "--rollout.groups", "2", "--rollout.group-size", "3"]
    command += ["--rollout.max-turns", "3", "--rollout.max-new-tokens", "8"]
    command += ["--sampler.engine", "vllm", "--sampler.cache-gib", str(CACHE_GIB)]
    env = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *words], env=env, cwd=root, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in logged if "rollout/failed" in line]
