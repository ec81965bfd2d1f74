"""FrozenLake: the ice is Gymnasium's, the optimum is backward induction's, and every lake can be crossed."""

from collections import deque

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv as GymnasiumLake

import agent_gym  # noqa: F401  registers the ids
from agent_gym import keys
from agent_gym.envs.frozen_lake.lake import DIRECTIONS, GOAL, HOLE, ICE, Lake, lake_of
from agent_gym.envs.frozen_lake.optimum import best_play
from agent_gym.errors import BadOptionError, UnknownTaskError
from agent_gym.testing import check_text_env

ID = "AgentGym/FrozenLake-v0"


def make(**settings):
    return gym.make(ID, disable_env_checker=True, **settings)


def gymnasiums(task, **settings):
    """Gymnasium's environment on the map of a task."""
    lake = lake_of(task)
    signs = "S" + lake.cells[1:].replace(ICE, "F").replace(HOLE, "H")
    return GymnasiumLake(desc=[signs[row : row + lake.size] for row in range(0, len(signs), lake.size)], **settings)


@pytest.mark.parametrize("settings", [{"size": 3}, {"size": 8, "slippery": False}, {"size": 9, "success_rate": 0.8}])
def test_the_contract_holds_for_other_settings_too(settings):
    check_text_env(ID, **settings)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {"is_slippery": True}),
        ({"slippery": False, "size": 6}, {"is_slippery": False}),
        ({"size": 5, "success_rate": 0.7}, {"is_slippery": True, "success_rate": 0.7}),
    ],
)
def test_transitions_are_those_of_gymnasium(ours, theirs):
    env = make(**ours).unwrapped
    for task in [*env.tasks("train")[:4], *env.tasks("test")[:2]]:
        table, lake = gymnasiums(task, **theirs).P, lake_of(task)
        for cell, commands in env.transitions(task).items():
            for command, outcomes in commands.items():
                expected = table[cell][DIRECTIONS.index(command)]
                assert [there for _, there in outcomes] == [there for _, there, _, _ in expected]
                assert [p for p, _ in outcomes] == pytest.approx([p for p, *_ in expected])
                for _, there, reward, over in expected:
                    assert (reward, over) == (lake.cells[there] == GOAL, lake.cells[there] != ICE)


@pytest.mark.parametrize("slippery", [True, False])
def test_what_is_played_follows_the_transitions(slippery):
    """Every cell and command is tried 60 times: all that has probability is met, and nothing else. A way of probability
    1/3 is missed 60 times with probability (2/3)^60 ≈ 3e-11.
    """
    env = make(slippery=slippery).unwrapped
    task = env.tasks("valid")[0]
    for cell, commands in env.transitions(task).items():
        for command, outcomes in commands.items():
            env.reset(seed=cell, options={"task": task})
            met = set()
            for _ in range(60):
                random = env.get_state()["random"]
                env.set_state(env.get_state() | {"simulator": cell, "ended": False, "random": random})
                _, reward, terminated, _, info = env.step(command)
                there = int(info[keys.STATE_KEY].rpartition(":")[2])
                met.add(there)
                found = lake_of(task).cells[there]
                assert (reward, terminated) == (found == GOAL, found != ICE)
            assert met == {there for _, there in outcomes}


def test_slipping_is_as_frequent_as_it_says():
    """1 in 3 goes as meant: 1,000 of 3,000 with standard deviation 25.8; four of them are 103."""
    env = make().unwrapped
    task = next(task for task in env.tasks("train") if all(lake_of(task).cells[c] == ICE for c in (1, 4, 5, 6, 9)))
    env.reset(seed=3, options={"task": task})
    counts = {4: 0, 9: 0, 6: 0, 1: 0}
    for _ in range(3000):
        env.set_state(env.get_state() | {"simulator": 5, "transcript": ()})
        *_, info = env.step("right")
        counts[int(info[keys.STATE_KEY].rpartition(":")[2])] += 1
    assert counts.pop(4) == 0  # nobody slips backwards
    assert all(abs(count - 1000) < 103 for count in counts.values())


def backward_induction(table, steps, gamma):
    """The largest expected return of Gymnasium's table within some steps."""
    values = dict.fromkeys(table, 0.0)
    for _ in range(steps):
        values = {
            cell: max(
                sum(p * (reward + gamma * (0.0 if over else values[there])) for p, there, reward, over in outcomes)
                for outcomes in actions.values()
            )
            for cell, actions in table.items()
        }
    return values[0]


@pytest.mark.parametrize(("slippery", "gamma", "steps"), [(True, 1.0, 30), (True, 0.9, 100), (False, 0.9, 30)])
def test_the_optimum_is_that_of_gymnasiums_table(slippery, gamma, steps):
    env = make(slippery=slippery, steps=steps).unwrapped
    for task in env.tasks("train")[:4]:
        table = gymnasiums(task, is_slippery=slippery).P
        assert env.optimal_value(task, gamma) == pytest.approx(backward_induction(table, steps, gamma), abs=1e-9)


def test_the_optimum_of_gymnasiums_own_lake():
    """The 4 × 4 map of FrozenLake-v1 is solved with probability 14/17 = 0.8235 without a limit on steps: a known
    figure. In 5,000 steps there is nothing of the limit left.
    """
    cells = ".....O.O...OO..G"
    assert best_play(cells, 1 / 3, 5000, 1.0)[0][-1, 0] == pytest.approx(14 / 17, abs=1e-9)


def test_the_expert_succeeds_as_often_as_the_optimum_says():
    """400 episodes: standard deviation at most sqrt(.25 / 400) = .025; three of them are .075."""
    env = make(size=5, holes=0.25, steps=60)
    task = env.unwrapped.tasks("train")[1]
    won = []
    for episode in range(400):
        env.reset(seed=episode, options={"task": task})
        over = False
        while not over:
            _, _, terminated, truncated, info = env.step(env.unwrapped.expert_action())
            over = terminated or truncated
        won.append(info[keys.SUCCESS])
    optimum = env.unwrapped.optimal_value(task)
    assert 0.05 < optimum < 0.95  # or there would be nothing to see
    assert abs(np.mean(won) - optimum) < 0.075


def shortest(lake):
    steps, waiting = {0: 0}, deque([0])
    while waiting:
        cell = waiting.popleft()
        for there in lake.after[cell]:
            if there not in steps and lake.cells[there] != HOLE:
                steps[there] = steps[cell] + 1
                waiting.append(there)
    return steps[len(lake.cells) - 1]


@pytest.mark.parametrize(("size", "holes"), [(3, 0.2), (4, 0.3), (8, 0.4), (12, 0.2)])
def test_on_firm_ice_the_expert_goes_the_shortest_way(size, holes):
    env = make(size=size, holes=holes, slippery=False)
    for split in env.unwrapped.splits:
        for task in env.unwrapped.tasks(split)[:3]:
            env.reset(options={"task": task})
            steps, over = 0, False
            while not over:
                _, reward, terminated, truncated, _ = env.step(env.unwrapped.expert_action())
                steps, over = steps + 1, terminated or truncated
            assert (reward, steps) == (1.0, shortest(lake_of(task)))
            assert env.unwrapped.optimal_value(task, 0.9) == pytest.approx(0.9 ** (steps - 1))


@pytest.mark.parametrize(("size", "holes"), [(3, 0.2), (4, 0.2), (4, 0.45), (7, 0.3)])
def test_lakes_have_the_holes_asked_for_and_splits_share_none(size, holes):
    env = make(size=size, holes=holes).unwrapped
    found: dict[str, str] = {}
    for split in env.splits:
        for task in env.tasks(split):
            lake = lake_of(task)
            assert lake.cells.count(HOLE) == round(holes * size * size)
            assert shortest(lake) >= 2 * size - 2
            mirrored = "".join(lake.cells[column::size] for column in range(size))
            for cells in (lake.cells, mirrored):
                assert found.setdefault(cells, split) == split


def test_fewer_layouts_are_the_first_of_more():
    assert make(layouts=5).unwrapped.tasks("test") == make(layouts=900).unwrapped.tasks("test")[:5]


def test_firm_ice_admits_what_moves_and_slippery_ice_everything():
    firm, slippery = make(slippery=False), make()
    assert firm.reset(seed=0)[1][keys.ADMISSIBLE_ACTIONS] == ("down", "right")
    assert slippery.reset(seed=0)[1][keys.ADMISSIBLE_ACTIONS] == ("down", "left", "right", "up")
    said, _, _, _, info = firm.step("up")
    assert said.startswith("That is not possible.\n@")
    assert info[keys.ACTION_VALID] is False


def test_the_same_seed_is_the_same_chance_and_another_is_another():
    def slips(seed):
        env = make(size=8)
        env.reset(seed=seed, options={"task": "train/8-13-000"})
        return [env.step("up")[0].partition("\n")[0] for _ in range(12)]  # along the bank, where no hole is near

    assert slips(1) == slips(1)
    assert slips(1) != slips(2)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": 2}, "size must be a whole number from 3 to 40, got 2"),
        ({"holes": 0.7}, "holes must be a number from 0 to 0.5, got 0.7"),
        ({"holes": "many"}, "holes must be"),
        ({"success_rate": 2}, "success_rate must be"),
        ({"slippery": 1}, "slippery must be True or False, got 1"),
        ({"steps": 0}, "steps must be"),
        ({"sizes": 4}, r"Did you mean 'size'\?"),
        ({"size": 3, "holes": 0.5}, "lakes enough for 3 splits"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, said):
    with pytest.raises(BadOptionError, match=said):
        make(**settings)


def test_an_unknown_task_is_told_from_a_known_one():
    with pytest.raises(UnknownTaskError, match="expected a task id such as 'train/4-3-000'"):
        make().unwrapped.optimal_value("train/4-3-64")
    with pytest.raises(UnknownTaskError, match="such as 'valid/8-13-000', got 'train/4-3-000'"):  # 0.2 · 8 · 8 = 12.8
        make(size=8, split="valid").reset(options={"task": "train/4-3-000"})


def test_drawings_show_the_player_in_every_cell():
    lake = Lake.of(2, "..OG")
    assert lake.drawings == ("@.\nOG", ".@\nOG", "..\n@G", "..\nO@")
