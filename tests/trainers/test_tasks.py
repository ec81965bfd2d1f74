import pytest

from agent_gym.errors import BadOptionError
from trainers.tasks import TaskOrder, spread


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
