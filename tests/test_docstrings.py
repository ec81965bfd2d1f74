"""The examples in docstrings run and give what they say."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = [
    module.name
    for package in ("agent_gym", "trainers", "wrappers")
    for module in pkgutil.walk_packages([str(ROOT / package)], prefix=f"{package}.")
    if module.name != "trainers.verl_loop"  # is a class of verl's, which has an environment of its own
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # an example may write files
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples fail: see the captured output"


def test_every_wrapper_shows_an_example() -> None:
    wrappers = importlib.import_module("wrappers")
    shown = [name for name in wrappers.__all__ if isinstance(getattr(wrappers, name), type)]
    documented = [name for name in shown if ">>> " in (getattr(wrappers, name).__doc__ or "")]
    missing = {name for name in shown if hasattr(getattr(wrappers, name), "step")} - set(documented)
    assert not missing, f"wrappers without an example: {missing}"
