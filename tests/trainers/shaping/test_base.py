"""Shapers one after the other, and what a turn carries for them."""

from dataclasses import dataclass

import numpy as np
import pytest

from tests.trainers.shaping.made import made_episode, made_group, made_turn, rewards_of
from trainers.shaping import PenaliseInvalid, ScaleRewards, ShaperChain, ShaperState


class AddTotal:
    """Adds what it has seen so far."""

    def __init__(self):
        self.total = 0.0

    def __call__(self, group):
        return ScaleRewards(factor=1 + self.total)(group)

    def fit(self, groups):
        self.total += sum(float(episode.rewards.sum()) for group in groups for episode in group.episodes)
        return {"total": self.total}

    def state(self):
        return ShaperState(arrays={"total": np.array([self.total])}, values={"name": "total"})

    def load_state(self, state):
        assert state.values == {"name": "total"}
        [self.total] = state.arrays["total"].tolist()


@dataclass(frozen=True)
class AddTotalSettings:
    def start(self):
        return AddTotal()


def test_a_chain_fits_each_shaper_to_what_it_was_given():
    chain = ShaperChain([ScaleRewards(factor=10), AddTotalSettings(), AddTotalSettings(), PenaliseInvalid()])
    played = made_group(made_episode("AB", [0, 1]))
    assert rewards_of(chain(played)) == [[0, 10]]
    # The first is given 10, and so is the second, since the first had learnt nothing when the group was shaped.
    assert chain.fit([played]) == {"1/total": 10.0, "2/total": 10.0}
    # 1 · 10 · (1 + 10) · (1 + 10)
    assert rewards_of(chain(played)) == [[0, 1210]]
    # 10 + 10; 10 + 110
    assert chain.fit([played]) == {"1/total": 20.0, "2/total": 120.0}

    again = ShaperChain([ScaleRewards(factor=10), AddTotalSettings(), AddTotalSettings(), PenaliseInvalid()])
    again.load_state(chain.state())
    assert rewards_of(again(played)) == rewards_of(chain(played)) == [[0, 10 * 21 * 121]]
    with pytest.raises(ValueError, match=r"state of the shapers at places \['0'\], got that of \['1', '2'\]"):
        ShaperChain([AddTotalSettings()]).load_state(chain.state())


def test_settings_can_be_shared_and_what_they_start_can_not():
    settings = AddTotalSettings()
    one, other = ShaperChain([settings]), ShaperChain([settings])
    one.fit([made_group(made_episode("A", [1]))])
    assert rewards_of(other(made_group(made_episode("A", [1])))) == [[1.0]]


def test_rewards_of_tokens():
    # Nothing said of the tokens: all on the last one.
    assert made_turn(reward=2.0, tokens=3).rewards_of_tokens.tolist() == [0, 0, 2]
    # .5 and .25 on two tokens, of a reward of 2: the last gets what is left, 2 − .75 + .25.
    assert made_turn(reward=2.0, tokens=2, token_rewards=(0.5, 0.25)).rewards_of_tokens.tolist() == [0.5, 1.5]
    assert made_turn(reward=2.0, tokens=0).rewards_of_tokens.tolist() == []
    with pytest.raises(ValueError, match="one reward per sampled token, got 1 for 2 tokens"):
        made_turn(tokens=2, token_rewards=(0.5,))
    scaled = ScaleRewards(factor=10)(made_group(made_episode("A", [0])))
    assert scaled.episodes[0].turns[0].token_rewards is None


def test_the_action_of_a_turn_is_the_command_where_one_was_found():
    assert made_turn(answer="<action>look</action>", info={"command": "look"}).action == "look"
    assert made_turn(answer="hm", info={"command": ""}).action == ""
    assert made_turn(answer="look").action == "look"
