"""What importing costs, and that the packages import at all."""

import ast
import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent_gym.errors import MissingExtraError

PACKAGES = ("agent_gym", "trainers", "wrappers")
DEEP_LEARNING = {"torch", "transformers", "peft", "tensorflow", "jax"}
ORIGINAL_ENGINE = {"alfworld", "textworld", "jericho", "spacy"}


def modules_after(statement: str, root: Path) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after the statement."""
    program = (
        f"{statement}\nimport json, sys\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "module", ["agent_gym", "wrappers", "trainers", "trainers.credit", "trainers.types", "trainers.cli"]
)
def test_importing_loads_no_deep_learning_library_and_no_original_engine(module: str, root: Path) -> None:
    assert modules_after(f"import {module}", root) & (DEEP_LEARNING | ORIGINAL_ENGINE) == set()


def test_playing_loads_no_deep_learning_library_and_no_original_engine(root: Path) -> None:
    play = (
        "import gymnasium, agent_gym; env = gymnasium.make('AgentGym/ALFWorld-v0'); env.reset(seed=7); env.step('look')"
    )
    assert modules_after(play, root) & (DEEP_LEARNING | ORIGINAL_ENGINE) == set()


def test_gymnasium_finds_the_environments_by_module_name(root: Path) -> None:
    assert "agent_gym" in modules_after("import gymnasium; gymnasium.make('agent_gym:AgentGym/ALFWorld-v0')", root)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_imports(package: str, root: Path) -> None:
    names = [found.name for found in pkgutil.walk_packages([str(root / package)], prefix=f"{package}.")]
    assert names
    statement = "\n".join(f"import {name}" for name in names if not name.endswith(("__main__", ".verl_loop")))
    assert package in modules_after(statement, root)


def test_what_is_made_for_verl_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "verl", None)
    monkeypatch.delitem(sys.modules, "trainers.verl_loop", raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'agent-gym\[verl\]'"):
        importlib.import_module("trainers.verl_loop")


@pytest.mark.parametrize("package", PACKAGES)
def test_source_is_python_3_11(package: str, root: Path) -> None:
    for path in sorted((root / package).rglob("*.py")):
        ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=(3, 11))


def test_every_package_says_that_it_is_typed(root: Path) -> None:
    for package in PACKAGES:
        assert (root / package / "py.typed").is_file()
