"""The native engine gives the original's bytes. `make differential` compares every published game; this is a sample."""

import json
import os
import subprocess
import sys

import gymnasium as gym
import pytest

import agent_gym
from agent_gym import keys
from agent_gym.envs.alfworld.generator import generate_game
from benchmarks.differential import compare, find_games, in_newer_wording

pytest.importorskip("textworld", reason="needs the original engine: pip install 'agent-gym[alfworld]'")
pytest.importorskip("alfworld", reason="needs the original engine: pip install 'agent-gym[alfworld]'")

SAMPLE = 6


@pytest.mark.parametrize("wording", ["put", "move"])
@pytest.mark.parametrize("number", range(SAMPLE))
def test_published_games(number, wording, alfworld_data):
    game = find_games(alfworld_data)[number]
    data = json.loads(game.read_text(encoding="utf-8"))
    result = compare(in_newer_wording(data) if wording == "move" else data, game.parent.name, steps=20, seed=number)
    assert result["mismatches"] == 0, result["where"]
    assert result["won"]


@pytest.mark.parametrize("wording", ["put", "move"])
@pytest.mark.parametrize("difficulty", ["easy", "standard"])
def test_generated_games(wording, difficulty):
    result = compare(
        generate_game("generated_test", 11, wording=wording, difficulty=difficulty), "generated", steps=20, seed=5
    )
    assert result["mismatches"] == 0, result["where"]
    assert result["won"]


@pytest.mark.parametrize("value", [None, "somewhere"])
def test_importing_the_original_leaves_the_environment_variable_alone(value):
    """In a process of its own, because a package is imported only once."""
    code = (
        "import os, agent_gym.envs.alfworld.textworld_engine as engine\n"
        "engine._packages()\n"
        "print(os.environ.get('ALFWORLD_DATA'))"
    )
    environment = {name: text for name, text in os.environ.items() if name != "ALFWORLD_DATA"}
    environment |= {} if value is None else {"ALFWORLD_DATA": value}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(value)]


def test_both_engines_behind_one_class():
    """The same settings with engine="textworld": the same observations, commands, rewards and ends."""
    envs = {
        engine: gym.make("AgentGym/ALFWorld-v0", engine=engine, difficulty="easy") for engine in ("native", "textworld")
    }
    task = "generated_train/000000002"
    starts = {engine: env.reset(options={"task": task}) for engine, env in envs.items()}
    _same(starts)
    states, done = {}, False
    for step in range(30):
        command = envs["native"].unwrapped.expert_action()
        if step == 1:
            states = {engine: agent_gym.save_state(env) for engine, env in envs.items()}
        outcomes = {engine: env.step(command) for engine, env in envs.items()}
        _same(outcomes)
        done = outcomes["native"][2]
        if done:
            break
    assert done
    for engine, env in envs.items():  # and back to the second step
        agent_gym.restore_state(env, states[engine])
    _same({engine: env.step("look") for engine, env in envs.items()})


def _same(outcomes):
    native, original = outcomes["native"], outcomes["textworld"]
    assert native[:-1] == original[:-1]
    for key in (
        keys.ADMISSIBLE_ACTIONS,
        keys.ACTION_VALID,
        keys.SUCCESS,
        keys.SCORE,
        keys.TASK,
        keys.SPLIT,
        keys.SOURCE,
    ):
        assert native[-1][key] == original[-1][key]
