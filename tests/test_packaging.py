"""The wheel works where the checkout is not: its files are complete, and the base needs no deep-learning library."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

PACKAGES = ("agent_gym", "trainers", "wrappers")
PLAY = """
import importlib.util
import gymnasium as gym
import agent_gym

env = gym.make("AgentGym/ALFWorld-v0")
observation, info = env.reset(seed=7)
while True:
    observation, reward, terminated, truncated, info = env.step(env.unwrapped.expert_action())
    if terminated or truncated:
        break
absent = [name for name in ("torch", "transformers", "textworld", "alfworld") if importlib.util.find_spec(name) is None]
print(agent_gym.__file__, info["success"], *absent, sep="\\n")
"""


def run(command: list[str | Path], cwd: Path) -> str:
    """Standard output of a command that knows nothing of this checkout."""
    environment = {name: text for name, text in os.environ.items() if name not in {"PYTHONPATH", "ALFWORLD_DATA"}}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that the checkout stays free of build products."""
    source = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(root / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, source)
    built = tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", built, source], cwd=built)
    (path,) = built.glob("*.whl")
    return path


def test_wheel_carries_every_file_of_the_packages_and_nothing_else(wheel: Path, root: Path) -> None:
    source = {
        path.relative_to(root).as_posix()
        for package in PACKAGES
        for path in (root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == source


@pytest.mark.network
def test_wheel_alone_plays_in_an_empty_environment(wheel: Path, root: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    scripts = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    run([scripts / "python", "-m", "pip", "install", "-q", "-c", root / "constraints.txt", wheel], cwd=tmp_path)

    where, success, *absent = run([scripts / "python", "-c", PLAY], cwd=tmp_path).splitlines()
    assert Path(where).is_relative_to(tmp_path)
    assert success == "True"
    assert absent == ["torch", "transformers", "textworld", "alfworld"]

    # A folder of the user's with the name of one of ours hides ours from a script beside it, but not from the command,
    # and `agent_gym` needs neither.
    mine = tmp_path / "project" / "trainers"
    mine.mkdir(parents=True)
    (mine / "__init__.py").write_text("raise RuntimeError('not yours')\n", encoding="utf-8")
    assert "AgentGym/ALFWorld-v0" in run([scripts / "agent-gym", "list"], cwd=mine.parent)
    assert "True" in run([scripts / "python", "-c", PLAY], cwd=mine.parent)
