import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainers.shaping.made import made_episode, made_group, made_turn, rewards_of
from trainers.shaping import Ircoco, ShaperState
from trainers.shaping.ircoco import IrcocoShaper
from trainers.types import Completion, Episode, Turn


class Told:
    """Knows the qualities."""

    def __init__(self, *qualities):
        self.values = qualities

    def qualities(self, task, turn):
        return self.values


def answered(*ids, finish="length", reward=0.0, logprobs=None):
    completion = Completion(prompt_ids=(1,), token_ids=ids, logprobs=logprobs or (0.0,) * len(ids), finish=finish)
    return Turn(completion=completion, state_key="s", reward=reward)


def test_hand_vector():
    # .5 − .2, .4 − .5, .9 − .4; together .9 − .2 = .7.
    turn = answered(5, 6, 7, logprobs=(-1.0, -2.0, -0.5))
    shaper = IrcocoShaper(Ircoco(outcome="replace"), Told(0.2, 0.5, 0.4, 0.9))
    [shaped] = shaper(made_group(Episode(turns=(turn,)))).episodes[0].turns
    assert shaped.token_rewards == pytest.approx((0.3, -0.1, 0.5))
    assert shaped.reward == pytest.approx(0.7)
    # The paper's loss: −((−1·.3) + (−2·−.1) + (−.5·.5))/3 = .35/3 = .116667.
    logprobs = np.array(shaped.completion.logprobs)
    assert -np.mean(logprobs * shaped.rewards_of_tokens) == pytest.approx(0.116667, abs=1e-6)


def test_the_end_of_an_answer_gets_nothing():
    shaper = IrcocoShaper(Ircoco(weight=2.0, outcome="replace"), Told(0.2, 0.5, 0.4, 0.9))
    [shaped] = shaper(made_group(Episode(turns=(answered(5, 6, 7, finish="stop"),)))).episodes[0].turns
    assert shaped.token_rewards == pytest.approx((0.6, -0.2, 0.0))


def test_the_reward_that_was_there_stays_on_the_last_token():
    shaper = IrcocoShaper(Ircoco(), Told(0.0, 0.25, 0.75))
    played = made_group(Episode(turns=(answered(5, 6, reward=1.0), answered(5, 6))), Episode(turns=()))
    shaped = shaper(played)
    assert [turn.token_rewards for turn in shaped.episodes[0].turns] == [(0.25, 1.5), (0.25, 0.5)]
    assert rewards_of(shaped) == [[1.75, 0.75], []]
    with pytest.raises(ValueError, match=r"expected 2 qualities from the evaluator"):
        shaper(made_group(Episode(turns=(answered(5),))))
    overflown = made_group(Episode(turns=(made_turn(tokens=0, reward=1.0),)))
    assert IrcocoShaper(Ircoco(), Told(0.5))(overflown) == overflown


def lessons():
    """Answers of two tokens and an end; those that begin with 7 succeed."""
    episodes = [
        Episode(turns=(answered(first, second, 0, finish="stop"),), success=first == 7)
        for first in (6, 7)
        for second in (8, 9)
    ]
    return made_group(*episodes)


def test_the_token_that_decides_is_paid():
    shaper = Ircoco(penalty=0.01, outcome="replace", tokens=1).start()
    group = lessons()
    assert shaper(group) is group
    assert shaper.fit([group])["episodes"] == 4
    shaped = shaper(group)
    for episode in shaped.episodes:
        first, _, end = episode.turns[0].token_rewards or ()
        assert (first > 0.2) == episode.success
        assert (first < -0.2) != episode.success
        assert end == 0.0


@given(st.lists(st.lists(st.integers(2, 5), max_size=5), min_size=1, max_size=4), st.sampled_from(["stop", "length"]))
def test_what_is_paid_telescopes(answers, finish):
    shaper = Ircoco(outcome="replace").start()
    shaper.fit([lessons()])
    for ids in answers:
        turn = answered(*ids, finish=finish)
        qualities = shaper.qualities("t", turn)
        [shaped] = shaper(made_group(Episode(turns=(turn,)))).episodes[0].turns
        assert shaped.reward == pytest.approx(qualities[-1] - qualities[0], abs=1e-9)
        assert shaped.rewards_of_tokens.sum() == pytest.approx(shaped.reward if ids else 0.0, abs=1e-9)


def test_a_saved_shaper_goes_on_as_before():
    settings = Ircoco(buffer=3)
    shaper = settings.start()
    shaper.fit([lessons()])
    state = shaper.state()
    again = settings.start()
    again.load_state(ShaperState(arrays=state.arrays, values=json.loads(json.dumps(state.values))))
    for one in (shaper, again):
        assert one.fit([made_group(made_episode("A", [1]))])["episodes"] == 3
    assert again(lessons()) == shaper(lessons())
    assert settings.start().fit([made_group(Episode(turns=()))]) == {}


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="tokens and a buffer of 1 or more"):
        Ircoco(tokens=0)
    with pytest.raises(ValueError, match="finite weight"):
        Ircoco(weight=float("nan"))
    with pytest.raises(ValueError, match="outcome"):
        Ircoco(outcome="drop")  # type: ignore[arg-type]  # what is refused
