"""What a state key is made of."""

import random
import threading
from collections import deque
from enum import Enum

import numpy as np
import pytest

from agent_gym.adapters.canonical import canonical_text, digest_of


class Colour(Enum):
    RED = 1


class Slotted:
    __slots__ = ("at",)

    def __init__(self, at):
        self.at = at


class Game:
    def __init__(self, **attributes):
        vars(self).update(attributes)


def test_what_is_equal_has_one_text():
    # The arrival order of a set's members differs between processes; a list and a tuple behave alike.
    assert canonical_text({"b", "a"}) == "{'a', 'b'}"
    assert canonical_text((1, [2])) == canonical_text([1, (2,)]) == canonical_text(deque([1, [2]]))
    assert canonical_text(Game(board=[1], log=["x"]), frozenset({"log"})) == canonical_text(Game(board=[1]))
    assert digest_of([1], extra="a") == digest_of((1,), extra="a")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, 2], [2, 1]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),  # a game may go through it while it draws
        (np.zeros(2), np.zeros(2, dtype=int)),
        (np.array(["a"], dtype=object), np.array(["b"], dtype=object)),
        (np.int64(1), np.int64(2)),
        (random.Random(1), random.Random(2)),
        (np.random.default_rng(1), np.random.default_rng(2)),
        (Slotted(1), Slotted(2)),
        (Game(inner=Game(at=1)), Game(inner=Game(at=2))),
        (Colour.RED, 1),
        ("1", 1),
        (len, max),
    ],
)
def test_what_differs_has_two_texts(one, other):
    assert canonical_text(one) != canonical_text(other)


def test_what_contains_itself_has_an_end():
    game = Game(name="x")
    game.parent = game
    assert canonical_text(game) == "Game({'name': 'x', 'parent': ^0})"


def test_what_cant_be_looked_into_counts_by_its_type():
    assert canonical_text(threading.Lock()) == canonical_text(threading.Lock()) == "lock([])"
