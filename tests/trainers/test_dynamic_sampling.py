import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainers.shaping.made import made_episode, made_group
from trainers.dynamic_sampling import DynamicSampling, is_constant, useful_share
from trainers.types import Episode

FLAT = made_group(made_episode("A", [1]), made_episode("A", [1]), task="flat")
USEFUL = made_group(made_episode("A", [1]), made_episode("A", [0]), task="useful")


class Player:
    """Deals groups from a list, again and again."""

    def __init__(self, deck):
        self.deck, self.asked = deck, []

    def __call__(self, start, count):
        self.asked.append((start, count))
        return [self.deck[number % len(self.deck)] for number in range(start, start + count)]


def test_constant_groups_are_replaced():
    player = Player([FLAT, USEFUL, USEFUL])
    result = DynamicSampling().collect(player, 4)
    # F U U F, then U U: four of use out of six.
    assert player.asked == [(0, 4), (4, 2)]
    assert result.groups == [USEFUL] * 4
    assert (result.tries, result.played, result.dropped) == (2, 6, [FLAT, FLAT])


def test_the_last_try_keeps_everything():
    player = Player([FLAT, USEFUL, FLAT, FLAT])
    result = DynamicSampling(max_tries=2).collect(player, 3)
    # F U F keeps one; F F U... the second try asks for two and takes F F as they are.
    assert player.asked == [(0, 3), (3, 2)]
    assert result.groups == [USEFUL, FLAT, FLAT]
    assert result.dropped == [FLAT, FLAT]
    assert DynamicSampling(max_tries=1).collect(Player([FLAT]), 2).groups == [FLAT, FLAT]


@given(st.lists(st.booleans(), min_size=1, max_size=6), st.integers(1, 5), st.integers(1, 4))
def test_there_are_always_as_many_as_wanted(deck, wanted, tries):
    result = DynamicSampling(max_tries=tries).collect(Player([USEFUL if one else FLAT for one in deck]), wanted)
    assert len(result.groups) == wanted
    assert len(result.groups) + len(result.dropped) == result.played
    assert result.tries <= tries
    if result.tries < tries:
        assert result.groups == [USEFUL] * wanted


def test_what_is_constant():
    assert is_constant(FLAT)
    assert not is_constant(USEFUL)
    assert is_constant(made_group(made_episode("A", [1])))
    assert is_constant(made_group())
    # .1 + .2 and .3 differ by rounding only.
    assert is_constant(made_group(made_episode("AB", [0.1, 0.2]), made_episode("A", [0.3])))
    # An episode that failed with an error is no failure of the policy.
    broken = Episode(turns=(), status="failed")
    assert is_constant(made_group(made_episode("A", [1]), made_episode("A", [1]), broken))
    assert useful_share([FLAT, USEFUL, FLAT, FLAT]) == 0.25
    assert useful_share([]) == 0.0


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="max_tries of 1 or more"):
        DynamicSampling(max_tries=0)
