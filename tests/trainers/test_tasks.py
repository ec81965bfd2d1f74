from dataclasses import replace

import pytest

from agent_gym.errors import BadOptionError
from agent_gym.multi_agent import kuhn_poker_v0
from agent_gym.multi_agent.slots import GameSlots
from tests.trainers.corridor import corridor, small_config
from trainers.tasks import TaskOrder, choose_tasks, spread


def test_each_pass_has_every_task_once():
    order = TaskOrder([f"t{n}" for n in range(10)], seed=1)
    first, second = order.take(0, 10), order.take(10, 10)
    assert sorted(first) == sorted(second) == [f"t{n}" for n in range(10)]
    assert first != second


def test_any_stretch_can_be_had_at_any_time():
    names = [f"t{n}" for n in range(7)]
    whole = TaskOrder(names, seed=1).take(0, 30)
    late = TaskOrder(names, seed=1)
    assert late.take(17, 6) == whole[17:23]
    assert late.take(3, 6) == whole[3:9]
    assert TaskOrder(names, seed=2).take(0, 30) != whole


def test_no_tasks():
    with pytest.raises(BadOptionError, match="without"):
        TaskOrder([], seed=0)


def test_spread():
    assert spread(list("abcdefghij"), 4) == ["a", "c", "f", "h"]  # places 0, 2.5, 5, 7.5
    assert spread(["a", "b"], 5) == ["a", "b"]
    assert spread(["a", "b"], None) == ["a", "b"]


def test_a_run_may_train_on_a_few_tasks_of_a_split(tmp_path):
    env = corridor()
    names = env.tasks("train")
    chosen = choose_tasks(small_config(tmp_path, rollout={"tasks": 2}), env)[1].tasks
    assert list(chosen) == [names[0], names[len(names) // 2]]
    assert list(choose_tasks(small_config(tmp_path), env)[1].tasks) == list(names)


def test_tasks_may_be_named(tmp_path):
    env = corridor()
    names = env.tasks("train")
    chosen = choose_tasks(small_config(tmp_path, rollout={"only": (names[3], names[1])}), env)[1].tasks
    assert list(chosen) == [names[3], names[1]]
    with pytest.raises(BadOptionError, match=f"split 'train', such as '{names[0]}', got 'nowhere'"):
        choose_tasks(small_config(tmp_path, rollout={"only": ("nowhere",)}), env)
    with pytest.raises(BadOptionError, match=r"rollout\.tasks must be left out"):
        small_config(tmp_path, rollout={"only": (names[3],), "tasks": 1})


def test_a_named_task_of_a_game_is_one_for_each_agent(tmp_path):
    slots = GameSlots(kuhn_poker_v0.env, num_slots=16)
    config = small_config(tmp_path, env={"id": "kuhn_poker_v0", "num_envs": 16, "context": "step"})
    config = replace(config, rollout=replace(config.rollout, only=("train/KJ",), groups=2))
    assert choose_tasks(config, slots)[1].tasks == ["train/KJ@player_0", "train/KJ@player_1"]
    with pytest.raises(BadOptionError, match="such as 'train/JK', got 'test/KJ'"):
        choose_tasks(replace(config, rollout=replace(config.rollout, only=("test/KJ",))), slots)


def test_tasks_that_belong_together_stay_so_in_every_order():
    names = [f"{game}@{agent}" for game in "abcde" for agent in ("x", "y")]
    taken = TaskOrder(names, seed=1, run=2).take(0, 30)
    for start in (0, 10, 20):
        once = taken[start : start + 10]
        assert sorted(once) == names
        assert [one[0] for one in once[::2]] == [one[0] for one in once[1::2]]
    assert taken[:10] != taken[10:20]
    assert TaskOrder(names, seed=1, run=2).take(13, 4) == taken[13:17]
    # Five games of two: of four tasks two games, at 0 and 2 (2.5 rounded down); of one task a whole game.
    assert spread(names, 4, 2) == ["a@x", "a@y", "c@x", "c@y"]
    assert spread(names, 1, 2) == ["a@x", "a@y"]
    assert spread(names, 10, 2) == names
