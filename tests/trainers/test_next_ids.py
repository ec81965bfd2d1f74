"""What would have been shown next to an episode that a limit cuts off."""

import pytest

from tests.trainers.corridor import corridor, tiny_model
from trainers.policies.base import Sampling
from trainers.policies.hf import HfPolicy
from trainers.policies.load import load_model
from trainers.policies.tabular import TabularPolicy
from trainers.rollout import play
from wrappers import make_llm_vec


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    return HfPolicy(*load_model(tiny_model(tmp_path_factory.mktemp("model"))))


def played(policy, slots, context, turns, keep=True):
    groups, _ = play(
        policy,
        slots,
        slots.tasks("train")[:1],
        group_size=2,
        sampling=Sampling(max_new_tokens=4),
        context=context,
        seed=3,
        max_turns=turns,
        keep_next=keep,
    )
    return groups[0].episodes


@pytest.mark.parametrize("context", ["step", "conversation"])
def test_it_is_the_prompt_of_the_turn_that_was_not_played(policy, context):
    # The same seeds give the same first turn, so the second prompt of the longer episode is what the shorter one lacks.
    short = played(policy, corridor(2, context=context), context, 1)
    longer = played(policy, corridor(2, context=context), context, 2)
    for one, two in zip(short, longer, strict=True):
        assert one.status == "cut"
        assert one.turns[0].completion == two.turns[0].completion
        assert one.next_ids == two.turns[1].completion.prompt_ids


def test_nothing_is_kept_unless_somebody_asks(policy):
    assert all(episode.next_ids == () for episode in played(policy, corridor(2), "conversation", 1, keep=False))


def test_a_table_is_shown_the_state():
    env = make_llm_vec("AgentGym/Rooms-v0", 2)
    table = TabularPolicy()
    short = played(table, env.slots, "conversation", 1)
    longer = played(table, env.slots, "conversation", 2)
    for one, two in zip(short, longer, strict=True):
        assert one.next_ids == two.turns[1].completion.prompt_ids
