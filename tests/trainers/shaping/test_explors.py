import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainers.shaping.made import drawn_groups, made_episode, made_group, made_turn, rewards_of
from trainers.shaping import Explors, ShaperState
from trainers.shaping.explors import count_bonus, self_supervised_change
from trainers.types import Episode

HALF = math.log(0.5)


def test_hand_vector_of_the_update():
    # π = (.5, .5), the action counted 1 is taken, Ḡ − V = 1, η = .1:
    # .1·.5·1·(0 − .5) = −.025 for the other one, .1·.5·1·(1 − .5) = .025 for this one.
    change = self_supervised_change({"0": 0.5, "1": 0.5}, "1", 1.0, 0.1)
    assert change == pytest.approx({"0": -0.025, "1": 0.025})


def test_hand_vector_of_the_bonus():
    # λ = B_max = 1: 1/√(1 + N).
    assert [count_bonus(n, 1.0, 1.0) for n in (0, 1, 3, 8)] == pytest.approx([1, 0.7071, 0.5, 0.3333], abs=1e-4)
    # λ = 2, B_max = .5: 2/√(16 + N).
    assert [count_bonus(n, 2.0, 0.5) for n in (0, 9)] == pytest.approx([0.5, 0.4])
    assert count_bonus(0, 0.0, 1.0) == 0.0


def one_step(answer, reward, logprob=HALF):
    return Episode(turns=(made_turn("s", reward, answer=answer, logprob=logprob, info={"state_key": "end"}),))


def test_an_iteration_of_updates():
    shaper = Explors(learning_rate=0.1, value_rate=0.5, bonus=0.0).start()
    shaper.fit([made_group(one_step("0", 0.0), one_step("1", 1.0))])
    # The failure has Ḡ − V = 0 and changes nothing, the success is the vector above.
    assert shaper.rewards == {"s": {"0": pytest.approx(-0.025), "1": pytest.approx(0.025)}}
    # V: 0 → 0 → .5·1.
    assert shaper.values == {"s": 0.5}
    assert rewards_of(shaper(made_group(one_step("0", 0.0), one_step("1", 1.0), one_step("2", 1.0)))) == [
        [pytest.approx(-0.025)],
        [pytest.approx(1.025)],
        [1.0],
    ]
    # Again, now with V = .5: the failure gives .1·.5·(−.5)·(±.5) = ∓.0125, the success the same: −.05 and .05.
    shaper.fit([made_group(one_step("0", 0.0), one_step("1", 1.0))])
    assert shaper.rewards["s"] == pytest.approx({"0": -0.05, "1": 0.05})
    clipped = Explors(learning_rate=0.1, clip=0.01).start()
    clipped.fit([made_group(one_step("0", 0.0), one_step("1", 1.0))])
    assert clipped.rewards == {"s": {"0": -0.01, "1": 0.01}}


def test_probabilities_stay_a_distribution():
    shaper = Explors().start()
    shaper.fit([made_group(one_step("0", 0.0), one_step("1", 0.0))])
    # The policy has changed: 1 now has .9, so at most .1 is left for 0.
    shaper.fit([made_group(one_step("1", 0.0, logprob=math.log(0.9)))])
    assert shaper.policy == {"s": {"0": pytest.approx(0.1), "1": pytest.approx(0.9)}}


def test_bonus_of_states_by_visits_before():
    shaper = Explors(learning_rate=0.0).start()
    played = made_group(made_episode("AAB", [0, 0, 1]), made_episode("AA", [0, 0], status="cut"))
    # To A for the first time in the episode 1, then B 1, then the end, which has none. The second episode counts on its
    # own: A, then its last state, which is not the end of the task.
    assert rewards_of(shaper(played)) == [[1.0, 1.0, 1.0], [1.0, 1.0]]
    again = made_group(made_episode("AAA", [0, 0, 0], status="cut"))
    # A twice in one episode: 1 and 1/√2.
    assert rewards_of(shaper(again)) == [pytest.approx([1.0, 0.7071, 1.0], abs=1e-4)]
    assert shaper.fit([played])["states"] == 3.0
    assert shaper.visits == {"A": 2, "B": 1, "end": 2}
    # A was reached twice before: 1/√3; B once: 1/√2.
    assert rewards_of(shaper(played))[0] == pytest.approx([3**-0.5, 2**-0.5, 1.0])


@given(drawn_groups, st.randoms(use_true_random=False))
def test_the_order_of_episodes_does_not_matter_for_what_is_added(group, random):
    shaper = Explors().start()
    shaper.fit([group])
    order = list(range(len(group.episodes)))
    random.shuffle(order)
    shuffled = rewards_of(shaper(made_group(*(group.episodes[i] for i in order))))
    assert shuffled == [rewards_of(shaper(group))[i] for i in order]


def test_a_saved_shaper_goes_on_as_before():
    settings = Explors(learning_rate=0.1)
    shaper = settings.start()
    played = made_group(one_step("0", 0.0), one_step("1", 1.0))
    shaper.fit([played])
    again = settings.start()
    again.load_state(ShaperState(values=json.loads(json.dumps(shaper.state().values))))
    for one in (shaper, again):
        one.fit([played])
    assert rewards_of(again(played)) == rewards_of(shaper(played))
    assert again.state() == shaper.state()


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="rates and a bonus of 0 or more"):
        Explors(learning_rate=-1.0)
    with pytest.raises(ValueError, match="most_bonus and clip above 0"):
        Explors(clip=0.0)
    with pytest.raises(ValueError, match="gamma between"):
        Explors(gamma=float("nan"))
