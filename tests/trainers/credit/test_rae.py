"""The baseline of a role."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_gym import keys
from tests.trainers.credit.made import batch_of, totals_group
from trainers.credit import Rae, Rloo
from trainers.credit.rae import MovingRae
from trainers.credit.tokens import token_batch
from trainers.types import Group

TOTALS = st.lists(st.integers(-2, 2).map(float), min_size=2, max_size=6)


def played(role: str, *totals: float) -> Group:
    """A group in which one role was played, of one turn and one token an episode."""
    group = totals_group(*totals)
    episodes = [
        replace(one, turns=(replace(one.turns[0], info={keys.ROLE: role}), *one.turns[1:])) for one in group.episodes
    ]
    return replace(group, episodes=tuple(episodes))


def advantages(*groups: Group) -> list[float]:
    return list(Rae().assign(token_batch(list(groups))).advantages_n)


def test_each_role_is_compared_with_itself_over_all_groups():
    # The first player's episodes of two deals earn 1, -2 and 4: the others' means are (-2 + 4)/2 = 1, (1 + 4)/2 = 2.5
    # and (1 - 2)/2 = -0.5. The second's earn the opposite.
    found = advantages(played("first", 1.0, -2.0), played("second", -1.0, 2.0), played("first", 4.0))
    assert found[:2] + found[4:] == [0.0, -4.5, 4.5]
    # 2 of the second's alone: -1 - 2 and 2 + 1.
    assert found[2:4] == [-3.0, 3.0]


def test_what_a_role_always_wins_is_no_merit():
    # One baseline for both would be 0, and every episode of the first player look good.
    assert advantages(played("first", 1.0, 1.0), played("second", -1.0, -1.0)) == [0.0] * 4


def test_a_role_with_one_episode_says_nothing():
    assert advantages(played("first", 1.0), played("second", -1.0, 1.0)) == [0.0, -2.0, 2.0]


def test_a_moving_average_of_each_role_goes_on_from_batch_to_batch():
    credit, after = Rae(decay=0.5).start(), Rae(decay=0.5).start()
    assert isinstance(credit, MovingRae)
    assert isinstance(after, MovingRae)
    batch = token_batch([played("first", 1.0, -2.0), played("second", -1.0, 2.0), played("first", 4.0)])
    # The first's: 1 - 0, then 0.5 is the average: -2 - 0.5, then (0.5 - 2)/2 = -0.75: 4 + 0.75. The second's: -1 - 0,
    # 2 + 0.5.
    assert list(credit.assign(batch).advantages_n) == [1.0, -2.5, -1.0, 2.5, 4.75]
    # (-0.75 + 4)/2 and (-0.5 + 2)/2.
    assert credit.state() == {"first": 1.625, "second": 0.75}
    after.load_state(credit.state())
    for one in (credit, after):
        assert list(one.assign(token_batch([played("second", 1.0)])).advantages_n) == [0.25]


def test_without_a_decay_nothing_is_remembered():
    assert Rae().start() == Rae()
    with pytest.raises(ValueError, match="decay"):
        Rae(decay=1.5)


@given(totals=TOTALS)
def test_without_roles_and_with_one_group_it_is_rloo(totals):
    group = totals_group(*totals)
    expected = [float(one[0]) for one in Rloo()(group)]
    np.testing.assert_allclose(Rae().assign(batch_of(group)).advantages_n, expected, atol=1e-12)
