import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainers.shaping.made import drawn_episodes, made_episode, made_group, made_turn, rewards_of
from trainers.credit.numerics import returns_to_go
from trainers.shaping import PotentialShaping
from trainers.shaping.potential import potential_differences
from trainers.types import Episode


def test_hand_vector():
    # Φ = 0, .25, .5, 1, 0 and γ = .9:
    #   .9·.25 − 0 = .225    .9·.5 − .25 = .2    .9·1 − .5 = .4    .9·0 − 1 = −1
    # and discounted .225 + .9·.2 + .81·.4 − .729 = 0.
    difference = potential_differences(np.array([0, 0.25, 0.5, 1, 0]), 0.9)
    np.testing.assert_allclose(difference, [0.225, 0.2, 0.4, -1.0], atol=1e-15)
    assert returns_to_go(difference, 0.9)[0] == pytest.approx(0.0, abs=1e-15)


def test_potentials_from_info_count_collections():
    turns = [made_turn(info={"subgoals": reached}) for reached in [(), ("key",), ("key", "door"), ("key", "door")]]
    shaper = PotentialShaping(gamma=1.0, weight=0.5, entry="subgoals")
    # Φ = 0, 0, .5, 1 and 0 at the end: the differences 0, .5, .5, −1.
    assert rewards_of(shaper(made_group(Episode(turns=tuple(turns)), Episode(turns=())))) == [[0, 0.5, 0.5, -1.0], []]
    with pytest.raises(ValueError, match="number or a collection"):
        shaper(made_group(Episode(turns=(made_turn(info={"subgoals": "key"}),))))


def test_potentials_from_a_table():
    values = {"A": 0.5, "B": 1.0, "end": 7.0}
    played = made_group(made_episode("AB", [0, 1]))
    # γ·Φ(B) − Φ(A) = .9 − .5 = .4; the end counts 0, whatever the table says: 1 + 0 − 1 = 0.
    assert rewards_of(PotentialShaping(gamma=0.9, table=values)(played)) == [[pytest.approx(0.4), 0.0]]


def test_a_cut_episode_may_keep_the_potential_of_its_last_state():
    played = made_group(made_episode("A", [0], status="cut"))
    values = {"A": 0.5, "end": 1.0}
    assert rewards_of(PotentialShaping(gamma=0.9, table=values)(played)) == [[-0.5]]
    # .9·1 − .5
    assert rewards_of(PotentialShaping(gamma=0.9, table=values, cut="keep")(played)) == [[pytest.approx(0.4)]]


@given(
    drawn_episodes,
    st.dictionaries(st.sampled_from(["A", "B", "C", "D", "end"]), st.floats(-10, 10)),
    st.sampled_from([0.0, 0.5, 0.95, 1.0]),
)
def test_what_is_added_telescopes_to_the_first_potential(episode, table, gamma):
    shaped = PotentialShaping(gamma=gamma, table=table)(made_group(episode)).episodes[0]
    added = returns_to_go(shaped.rewards, gamma)[0] - returns_to_go(episode.rewards, gamma)[0]
    assert added == pytest.approx(-table.get(episode.turns[0].state_key, 0.0), abs=1e-9)


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="gamma between 0 and 1"):
        PotentialShaping(gamma=1.5)
    with pytest.raises(ValueError, match="finite weight"):
        PotentialShaping(weight=float("nan"))
    with pytest.raises(ValueError, match="cut"):
        PotentialShaping(cut="drop")  # type: ignore[arg-type]  # what is refused
