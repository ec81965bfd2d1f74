"""Every example runs, in a fresh interpreter, and says what it promises."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ARGUMENTS = {
    "quickstart.py": ["--episodes", "3"],
    "train_gigpo.py": ["--smoke"],
    "rooms_in_seconds.py": ["--rates", "3", "--seeds", "1", "--iterations", "2"],
}
"""Those of the examples that take long without."""


@pytest.mark.parametrize("example", sorted(path.name for path in (ROOT / "examples").glob("[!_]*.py")))
def test_example_runs(example: str, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "examples" / example), *ARGUMENTS.get(example, [])]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()


def test_quickstart_expert_beats_random(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "examples" / "quickstart.py"), "--episodes", "5"]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    random, expert = (line.split() for line in done.stdout.splitlines() if line.startswith(("random:", "expert:")))
    assert int(expert[1]) > int(random[1])
