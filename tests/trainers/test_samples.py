"""From turns to tokens: worked layouts, what is refused, and how samples are cut into micro-batches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainers.small_model import random_group, random_samples
from trainers.samples import MAX_PADDING, Sample, build_samples, split_by_tokens
from trainers.types import Completion, Episode, Group, Turn


def turn(prompt: tuple[int, ...], answer: tuple[int, ...], logprobs: tuple[float, ...] | None = None) -> Turn:
    completion = Completion(prompt_ids=prompt, token_ids=answer, logprobs=logprobs or (-1.0,) * len(answer))
    return Turn(completion=completion, state_key="k", reward=0.0)


def group(*turns: Turn) -> Group:
    return Group(task="toy/7", episodes=(Episode(turns=turns),))


TWO_TURNS = group(turn((1, 2), (3, 4), (-0.5, -0.25)), turn((5,), (6,), (-0.75,)))
ADVANTAGES = [[np.array([2.0, -1.0])]]


def test_in_step_context_every_turn_is_a_sample():
    first, second = build_samples([TWO_TURNS], ADVANTAGES, "step")
    assert first.ids.tolist() == [1, 2, 3, 4]
    assert first.action_mask.tolist() == [False, False, True, True]
    assert first.old_logprobs.tolist() == [0, 0, -0.5, -0.25]
    assert first.advantages.tolist() == [0, 0, 2, 2]
    assert second.ids.tolist() == [5, 6]
    assert second.advantages.tolist() == [0, -1]
    assert (first.key, second.key) == ((0, 0, 0), (0, 0, 1))


def test_tokens_may_have_advantages_of_their_own():
    tokens = [[[np.array([2.0, 3.0]), np.array([-1.0])]]]
    (sample,) = build_samples([TWO_TURNS], tokens, "conversation")
    assert sample.advantages.tolist() == [0, 0, 2, 3, 0, -1]
    assert [one.advantages.tolist() for one in build_samples([TWO_TURNS], tokens, "step")] == [[0, 0, 2, 3], [0, -1]]
    with pytest.raises(ValueError, match=r"one advantage per token of episode 0 of task 'toy/7', got .* of \[2, 1\]"):
        build_samples([TWO_TURNS], [[[np.array([2.0]), np.array([-1.0])]]], "step")
    with pytest.raises(ValueError, match="expected finite advantages for episode 0"):
        build_samples([TWO_TURNS], [[[np.array([2.0, np.nan]), np.array([-1.0])]]], "step")


def test_in_conversation_context_an_episode_is_a_sample():
    (sample,) = build_samples([TWO_TURNS], ADVANTAGES, "conversation", first_group=3)
    assert sample.ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert sample.action_mask.tolist() == [False, False, True, True, False, True]
    assert sample.old_logprobs.tolist() == [0, 0, -0.5, -0.25, 0, -0.75]
    assert sample.advantages.tolist() == [0, 0, 2, 2, 0, -1]
    assert sample.key == (3, 0, 0)


def test_what_was_shown_but_never_answered_is_left_out():
    unanswered = group(turn((1, 2), (3,)), turn((4,), ()))
    for context in ("step", "conversation"):
        (sample,) = build_samples([unanswered], [[np.zeros(2)]], context)
        assert sample.ids.tolist() == [1, 2, 3]


def test_an_empty_answer_inside_a_conversation_keeps_its_prompt():
    between = group(turn((1,), (2,)), turn((3,), ()), turn((4,), (5,)))
    (sample,) = build_samples([between], None, "conversation")
    assert sample.ids.tolist() == [1, 2, 3, 4, 5]
    assert sample.action_mask.tolist() == [False, True, False, False, True]


def test_episodes_without_turns_give_no_samples():
    assert build_samples([group(), group(turn((1,), ()))], [[np.zeros(0)], [np.zeros(1)]], "conversation") == []
    assert build_samples([], [], "step") == []


def test_demonstrations_count_one_per_token():
    assert [sample.advantages.sum() for sample in build_samples([TWO_TURNS], None, "step")] == [2, 1]


@pytest.mark.parametrize(
    ("groups", "advantages", "message"),
    [
        ([TWO_TURNS], [], "advantages for 1 groups, got them for 0"),
        ([TWO_TURNS], [[]], "per episode of task 'toy/7', got 0 for 1 episodes"),
        ([TWO_TURNS], [[np.zeros(3)]], r"per turn of episode 0 of task 'toy/7', got shape \(3,\) for 2 turns"),
        ([TWO_TURNS], [[np.array([1.0, np.nan])]], "finite advantages for episode 0 of task 'toy/7'"),
        ([group(turn((), (3,)))], None, "a prompt before the first answer of turn 0 of episode 0 of task 'toy/7'"),
        ([group(turn((1,), (3,), (-np.inf,)))], None, "finite log-probabilities in turn 0 of episode 0"),
    ],
)
def test_mistakes_are_told_with_the_episode(groups, advantages, message):
    with pytest.raises(ValueError, match=message):
        build_samples(groups, advantages, "step")


def test_an_unknown_context_is_refused():
    with pytest.raises(ValueError, match="'step' or 'conversation', got 'window'"):
        build_samples([], [], "window")  # type: ignore[arg-type]  # what is refused


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), context=st.sampled_from(["step", "conversation"]))
def test_every_sampled_token_is_in_exactly_one_place(seed, context):
    rng = np.random.default_rng(seed)
    played = [random_group(str(number), rng) for number in range(2)]
    advantages = [[rng.normal(size=len(episode.turns)) for episode in g.episodes] for g in played]
    samples = build_samples(played, advantages, context)
    expected = [
        (token, np.float32(logprob), np.float32(advantage))
        for g, per_group in zip(played, advantages, strict=True)
        for episode, per_turn in zip(g.episodes, per_group, strict=True)
        for t, advantage in zip(episode.turns, per_turn, strict=True)
        for token, logprob in zip(t.completion.token_ids, t.completion.logprobs, strict=True)
    ]
    found = [
        (int(s.ids[t]), s.old_logprobs[t], s.advantages[t]) for s in samples for t in np.flatnonzero(s.action_mask)
    ]
    assert found == expected
    assert len({sample.key for sample in samples}) == len(samples)


def of_length(length: int, number: int) -> Sample:
    return Sample(
        ids=np.zeros(length, dtype=np.int64),
        action_mask=np.ones(length, dtype=np.bool_),
        old_logprobs=np.zeros(length, dtype=np.float32),
        advantages=np.zeros(length, dtype=np.float32),
        group=number,
        episode=0,
        turn=0,
    )


def test_micro_batches_by_hand():
    # Longest first with a budget of 20: 10 + 9 make 2 × 10 with 1 of 20 padded; 9 would be 3 × 10. Then 9 + 5 would
    # waste 4 of 18, more than a tenth. 5 + 5 + 5 are 15, a fourth would be 20.
    samples = [of_length(n, number) for number, n in enumerate([5, 9, 10, 5, 9, 5])]
    assert [[len(s) for s in part] for part in split_by_tokens(samples, 20)] == [[10, 9], [9], [5, 5, 5]]


@given(lengths=st.lists(st.integers(1, 60), max_size=40), budget=st.integers(1, 200), seed=st.integers(0, 9))
def test_micro_batches_keep_their_limits(lengths, budget, seed):
    samples = [of_length(length, number) for number, length in enumerate(lengths)]
    parts = split_by_tokens(samples, budget)
    for part in parts:
        padded = len(part) * max(len(sample) for sample in part)
        assert padded <= budget or len(part) == 1
        assert padded - sum(len(sample) for sample in part) <= MAX_PADDING * padded
    keys = [sample.key for part in parts for sample in part]
    assert sorted(keys) == [sample.key for sample in samples]
    # The cut does not depend on the order the samples came in.
    shuffled = [samples[i] for i in np.random.default_rng(seed).permutation(len(samples))]
    assert [s.key for part in split_by_tokens(shuffled, budget) for s in part] == keys


def test_random_samples_have_prompts_and_answers():
    for context in ("step", "conversation"):
        for sample in random_samples(context):
            assert 0 < sample.action_mask.sum() < len(sample)
