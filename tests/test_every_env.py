"""Every registered id keeps the public contract, and plays its golden episode word for word."""

import json
from pathlib import Path

import gymnasium as gym
import pytest

import agent_gym  # noqa: F401  registers the ids
from agent_gym import keys
from agent_gym.errors import MissingExtraError
from agent_gym.registration import IDS, SCIENCEWORLD
from agent_gym.suite import ENVIRONMENTS
from agent_gym.testing import check_text_env

GOLDEN = Path(__file__).parent / "golden"
LESS: dict[str, dict[str, int]] = {SCIENCEWORLD: {"episodes": 1, "steps": 3}}
"""How much is played where a step, or going back to a saved state, takes a thousand times as long as elsewhere."""


def skip_without_its_extra(env):
    try:
        env.reset()
    except MissingExtraError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("env_id", IDS)
def test_contract(env_id):
    skip_without_its_extra(gym.make(env_id))
    check_text_env(env_id, **LESS.get(env_id, {}))


def test_all_ids_are_registered_and_versioned():
    registered = sorted(
        env_id for env_id in gym.registry if env_id.startswith("AgentGym/") and "LockedCorridor" not in env_id
    )
    assert registered == sorted(IDS)
    assert list(ENVIRONMENTS) == list(IDS), "agent_gym/suite.py describes every id, in the order of their names"
    assert all(gym.spec(env_id).version is not None for env_id in IDS)
    assert all(gym.spec(env_id).max_episode_steps is not None for env_id in IDS)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_golden_playthrough(path):
    """A change of text, dynamics, reward or task list is a new version: this file must not be edited for the old
    one."""
    golden = json.loads(path.read_text(encoding="utf-8"))
    env = gym.make(golden["id"], **golden["kwargs"])
    skip_without_its_extra(env)
    observation, info = env.reset(seed=0, options={"task": golden["task"]})
    for number, frame in enumerate(golden["frames"]):
        if number:
            observation, reward, terminated, truncated, info = env.step(frame["command"])
            assert (reward, terminated, truncated) == (frame["reward"], frame["terminated"], frame["truncated"])
        assert observation == frame["observation"]
        assert list(info[keys.ADMISSIBLE_ACTIONS]) == frame["admissible"]
        assert info[keys.ACTION_VALID] is frame["valid"]
        assert info[keys.STATE_KEY] == frame["state_key"]


def test_every_id_has_a_golden_playthrough():
    played = {json.loads(path.read_text(encoding="utf-8"))["id"] for path in GOLDEN.glob("*.json")}
    assert played == set(IDS)
