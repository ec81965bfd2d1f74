import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainers.shaping.made import made_group, made_turn, rewards_of
from trainers.shaping import OverlongPenalty
from trainers.shaping.overlong import overlong_charge
from trainers.types import Episode


def test_hand_vector():
    # L_max 20, L_c 4: nothing up to 16; (16 − 17)/4 = −.25; (16 − 18)/4 = −.5; (16 − 20)/4 = −1; beyond stays at −1.
    lengths = np.array([1.0, 16.0, 17.0, 18.0, 20.0, 21.0, 500.0])
    np.testing.assert_array_equal(overlong_charge(lengths, 20, 4), [0, 0, -0.25, -0.5, -1, -1, -1])


def test_turns_are_charged_one_by_one_and_episodes_at_their_end():
    turns = (made_turn(tokens=9), made_turn(tokens=10, reward=1.0), made_turn(tokens=0))
    played = made_group(Episode(turns=turns), Episode(turns=()))
    # L_max 10, L_c 2, weight 3: 9 tokens cost 3·(8 − 9)/2 = 1.5, and 10 tokens 3.
    assert rewards_of(OverlongPenalty(longest=10, stretch=2, weight=3.0)(played)) == [[-1.5, -2.0, 0.0], []]
    # L_max 20, L_c 4: 19 tokens together cost (16 − 19)/4 = −.75, at the last turn.
    assert rewards_of(OverlongPenalty(longest=20, stretch=4, unit="episode")(played)) == [[0.0, 1.0, -0.75], []]


@given(st.integers(1, 100), st.integers(1, 100), st.integers(0, 300))
def test_the_charge_never_falls_with_length(longest, stretch, length):
    stretch = min(stretch, longest)
    shorter, longer = overlong_charge(np.array([length, length + 1.0]), longest, stretch)
    assert -1.0 <= longer <= shorter <= 0.0


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="0 < stretch ≤ longest"):
        OverlongPenalty(longest=10, stretch=11)
    with pytest.raises(ValueError, match="weight of 0 or more"):
        OverlongPenalty(weight=-1.0)
    with pytest.raises(ValueError, match="unit"):
        OverlongPenalty(unit="token")  # type: ignore[arg-type]  # what is refused
