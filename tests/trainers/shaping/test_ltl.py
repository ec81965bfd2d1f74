"""Progress through a task in temporal logic, as a potential."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_gym.errors import BadOptionError
from tests.trainers.shaping.made import made_group, made_turn, rewards_of
from trainers.credit.numerics import returns_to_go
from trainers.shaping import LtlProgress
from trainers.types import Episode

ORDER = "F(a && F b) && (!b U a)"


def labelled(*steps, status="finished"):
    turns = [made_turn(info={"subgoals": tuple(labels)}) for labels in steps]
    return made_group(Episode(turns=tuple(turns), status=status), Episode(turns=()))


def test_progress_is_paid_as_differences_of_a_potential():
    shaper = LtlProgress(levels=({"p": ORDER},), gamma=0.9)
    # d = 2, 2, 1, 1, and the end: Φ = 0, 0, .5, .5, 0. So 0, .45, .9·.5 − .5 = −.05, −.5.
    assert rewards_of(shaper(labelled("", "a", "", "b"))) == [pytest.approx([0, 0.45, -0.05, -0.5]), []]
    # Cut off with Φ kept: .9·.5 − 0.
    kept = LtlProgress(levels=({"p": ORDER},), gamma=0.9, cut="keep")
    assert rewards_of(kept(labelled("a", status="cut"))) == [pytest.approx([0.45]), []]
    # The outcome is paid once, when it is decided.
    only = LtlProgress(levels=({"p": ORDER},), weight=0.0, outcome=2.0)
    assert rewards_of(only(labelled("a", "b", "b"))) == [[0, 2, 0], []]
    assert rewards_of(only(labelled("b", "a", "b"))) == [[-2, 0, 0], []]
    assert rewards_of(only(labelled("a", "a"))) == [[0, 0], []]


@pytest.mark.parametrize(("gamma", "sums"), [(0.95, (-0.5, 0.475)), (1.0, (0.5, 0.5))])
def test_below_one_the_sum_of_an_episode_charges_for_what_is_done_early(gamma, sums):
    # a in the first of forty turns, or in the last: .95·.5 − 0, and 39 times −.05·.5.
    shaper = LtlProgress(levels=({"p": ORDER},), gamma=gamma, cut="keep")
    early, late = ["a"] + [""] * 39, [""] * 39 + ["a"]
    found = tuple(sum(rewards_of(shaper(labelled(*steps, status="cut")))[0]) for steps in (early, late))
    assert found == pytest.approx(sums)


def test_without_formulas_each_task_has_its_own():
    def told(levels, *steps):
        turns = [made_turn(info={"subgoals": tuple(labels), "specification": levels}) for labels in steps]
        return made_group(Episode(turns=tuple(turns), status="finished"))

    shaper = LtlProgress(gamma=0.9)
    for levels in (({"p": ORDER},), ({"p": "F x"}, {"x": "F(a && F b)"})):
        steps = ("", "a", "", "b")
        expected = LtlProgress(levels=levels, gamma=0.9)(labelled(*steps))
        assert rewards_of(shaper(told(levels, *steps))) == rewards_of(expected)[:1] != [[0.0] * 4]


@given(st.lists(st.frozensets(st.sampled_from("abc")), min_size=1, max_size=6), st.sampled_from([0.0, 0.9, 1.0]))
def test_what_is_added_telescopes_to_nothing(steps, gamma):
    levels = ({"p": "<>x && <>c && (!c U x)"}, {"x": "<>(a && <>b)"})
    [rewards, _] = rewards_of(LtlProgress(levels=levels, gamma=gamma)(labelled(*steps)))
    assert returns_to_go(np.array(rewards), gamma)[0] == pytest.approx(0.0, abs=1e-12)


def test_settings_and_infos_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="names of propositions"):
        LtlProgress(levels=({"p": "a"},))(made_group(Episode(turns=(made_turn(info={"subgoals": "ab"}),))))
    with pytest.raises(BadOptionError, match=r"tells none in info\['specification'\]"):
        LtlProgress()(labelled("a"))
    with pytest.raises(ValueError, match="gamma between"):
        LtlProgress(gamma=2.0)
    with pytest.raises(ValueError, match="finite weight"):
        LtlProgress(outcome=float("inf"))
