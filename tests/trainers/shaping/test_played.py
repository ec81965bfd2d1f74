"""Shapers on episodes as environments and rollouts make them."""

import json

import numpy as np
import pytest

from trainers.policies.base import Sampling
from trainers.policies.scripted import ExpertPolicy, RandomPolicy, ReplayPolicy
from trainers.rollout import play
from trainers.shaping import (
    Calm,
    Explors,
    Exprd,
    IntentReward,
    Ircoco,
    Lare,
    LtlProgress,
    OverlongPenalty,
    PenaliseInvalid,
    PotentialShaping,
    Renorm,
    ScaleRewards,
    Shaper,
    ShaperChain,
    ShaperState,
    Spa,
    Startable,
)
from wrappers import make_llm_vec

TASK = "train/3-11-21-3-21"
"""#@..#...#
   #k..#>..#
   #...+...#"""


def played(policy, env_id="AgentGym/KeyDoor-v0", task=TASK, members=1):
    env = make_llm_vec(env_id, 2)
    tasks = [task or env.slots.tasks("train")[0]]
    [group], _ = play(
        policy, env.slots, tasks, group_size=members, sampling=Sampling(), context="conversation", seed=0, max_turns=20
    )
    return group


def answers(*commands):
    return ReplayPolicy({TASK: [f"<action>{command}</action>" for command in commands]})


def test_the_expert_is_paid_once_for_key_and_door():
    group = played(ExpertPolicy())
    [before], [after] = ([one.rewards for one in g.episodes] for g in (group, Calm(bonus=0.25)(group)))
    assert group.episodes[0].success
    added = after - before
    at = [turn.action in ("pick up key", "open door") for turn in group.episodes[0].turns]
    np.testing.assert_array_equal(added, np.where(at, 0.25, 0.0))
    assert sum(at) == 2


def test_a_key_can_not_be_farmed():
    group = played(answers("go south", *["pick up key", "drop key"] * 9))
    assert [turn.action_valid for turn in group.episodes[0].turns[:19]] == [True] * 19
    assert Calm(bonus=0.25)(group).episodes[0].rewards.sum() == 0.25
    # As a potential: a half of Φ is gained at the key and given back at the end.
    shaped = PotentialShaping(entry="subgoals", gamma=1.0)(group).episodes[0]
    assert shaped.rewards.sum() == 0.0
    assert shaped.rewards[1] == 1.0


def test_progress_through_the_task_as_a_formula():
    formula = {"task": '<>("pick up key" && <>"open door")'}
    group = played(ExpertPolicy())
    shaped = LtlProgress(levels=(formula,), gamma=1.0, outcome=2.0)(group)
    added = shaped.episodes[0].rewards - group.episodes[0].rewards
    actions = [turn.action for turn in group.episodes[0].turns]
    # Half of the way is done with the key, all with the door, which also decides; the last step gives Φ = 1 back.
    expected = [0.5 * (one == "pick up key") + 2.5 * (one == "open door") for one in actions]
    expected[-1] -= 1.0
    np.testing.assert_allclose(added, expected)


def test_busy_work_does_not_pay_under_renorm():
    group = played(RandomPolicy(), "AgentGym/BusyWork-v0", None, members=6)
    assert any(turn.info["process_score"] > 0.5 for episode in group.episodes for turn in episode.turns)
    for before, after in zip(group.episodes, Renorm()(group).episodes, strict=True):
        assert np.all(after.rewards >= 0) if before.success else np.all(after.rewards <= 0)
    expert = Renorm()(played(ExpertPolicy(), "AgentGym/BusyWork-v0", None))
    assert expert.episodes[0].rewards.sum() > 0


@pytest.mark.parametrize(
    ("env_id", "task"), [("AgentGym/KeyDoor-v0", TASK), ("AgentGym/ALFWorld-v0", "generated_train/000000000")]
)
def test_all_of_them_in_a_row(env_id, task):
    settings: list[Shaper | Startable] = [
        ScaleRewards(),
        Spa(),
        Lare(updates=2, width=4, layers=1, conserve=True),
        Calm(),
        PotentialShaping(),
        LtlProgress(levels=({"p": "<>a && <>b"},)),
        IntentReward(),
        Explors(),
        Exprd(),
        Ircoco(),
        OverlongPenalty(longest=30, stretch=10),
        PenaliseInvalid(),
    ]
    group = played(RandomPolicy(), env_id, task, members=3)
    chain = ShaperChain(settings)
    chain(group)
    assert all(map(np.isfinite, chain.fit([group]).values()))
    again = ShaperChain(settings)
    state = chain.state()
    again.load_state(ShaperState(arrays=state.arrays, values=json.loads(json.dumps(state.values))))
    assert again(group) == chain(group)
    for before, after in zip(group.episodes, chain(group).episodes, strict=True):
        assert len(after.turns) == len(before.turns)
        assert np.isfinite(after.rewards).all()
        assert after.rewards.tolist() != before.rewards.tolist()
