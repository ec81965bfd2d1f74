"""A batch as a table of tokens: what estimators work on that look further than a group, or closer than a turn.

All action tokens of all groups lie end to end, in the order of groups, episodes, turns and tokens, and the table says
which turn and which episode each belongs to. Prompts and what an environment says are not in it: the token after the
last one of a turn is the first one of the next turn.

    turn_n      0 0 0 1 1 | 2 2 2 3 | 4 4        two turns in each of the first two episodes, one in the third
    episode_n   0 0 0 0 0 | 1 1 1 1 | 2 2
    rewards_n   0 0 0 0 1 | 0 0 0 0 | 0 1        a turn's reward belongs to its last token

Shapes: `_n` tokens, `_t` turns, `_e` episodes of the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainers.credit.numerics import Floats
from trainers.types import Group, Turn


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TokenBatch:
    """The action tokens of a batch of groups, and what is known of each."""

    groups: tuple[Group, ...]
    turn_n: NDArray[np.intp]
    """Number of the turn of each token, over the whole batch; turns without tokens are counted, too."""
    episode_t: NDArray[np.intp]
    """Number of the episode of each turn, over the whole batch."""
    group_e: NDArray[np.intp]
    """Number of the group of each episode."""
    cut_e: NDArray[np.bool_]
    """True where a limit ended the episode, so that there would have been more to come."""
    rewards_n: Floats
    """Reward of each token. That of a turn without tokens goes to the token before it, if the episode has one."""
    logprobs_n: Floats
    """Log-probability (nats) of each token as it was sampled."""
    reference_logprobs_n: Floats | None = None
    """The same under a reference model."""
    values_n: Floats | None = None
    """A critic's estimate, in front of each token, of what is still to come."""
    last_values_e: Floats | None = None
    """The critic's estimate after the last token; only those of episodes that were cut are used."""
    action_values_t: Floats | None = None
    """A critic's estimate for each turn of what is still to come once its answer was given (Q)."""
    state_values_t: Floats | None = None
    """The same before it was given (V)."""

    @property
    def episode_n(self) -> NDArray[np.intp]:
        """Number of the episode of each token."""
        return self.episode_t[self.turn_n]

    @property
    def turn_ends_n(self) -> NDArray[np.bool_]:
        """True at the last token of each turn."""
        return last_of(self.turn_n)

    @property
    def episode_ends_n(self) -> NDArray[np.bool_]:
        """True at the last token of each episode."""
        return last_of(self.episode_n)

    def require_values(self) -> Floats:
        """The values.

        Raises:
            ValueError: If there are none, or none after the end of an episode that was cut.
        """
        if self.values_n is None:
            raise ValueError("expected a critic's values for every token: this estimator needs a critic")
        if self.last_values_e is None and self.cut_e.any():
            raise ValueError(
                "expected a critic's value after the last token of episodes that a limit cut off (last_values): taking "
                "it for zero would punish them for the limit"
            )
        return self.values_n

    def next_values_e(self) -> Floats:
        """Value after the last token of each episode: the critic's where it was cut, else 0."""
        last_e = np.zeros(len(self.group_e)) if self.last_values_e is None else self.last_values_e
        return np.where(self.cut_e, last_e, 0.0)

    def spread(self, per_turn: Sequence[Sequence[Floats]]) -> Floats:
        """Give every token its turn's number: one array of shape (turns,) per episode per group, to shape (N,)."""
        per_turn_t = [np.zeros(0), *(array for episodes in per_turn for array in episodes)]
        return np.concatenate(per_turn_t)[self.turn_n]

    def per_turn(self, values_n: Floats) -> list[list[list[Floats]]]:
        """Cut values of tokens into groups, episodes and turns: one array of shape (tokens,) per turn."""
        ends_t = np.cumsum(np.bincount(self.turn_n, minlength=len(self.episode_t)))
        turns = iter(np.split(values_n, ends_t[:-1]) if len(ends_t) else [])
        return [[[next(turns) for _ in episode.turns] for episode in group.episodes] for group in self.groups]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TokenAdvantages:
    """What a `TokenCredit` gives back, all arrays of shape (N,), in the order of the batch."""

    advantages_n: Floats
    targets_n: Floats | None = None
    """What a critic should have said in front of each token; none if the estimator needs no critic."""
    taught_n: NDArray[np.bool_] | None = None
    """Tokens at which the critic is taught; none for all of them."""


def token_batch(
    groups: Sequence[Group],
    *,
    reference_logprobs: Floats | None = None,
    values: Floats | None = None,
    last_values: Floats | None = None,
    action_values: Floats | None = None,
    state_values: Floats | None = None,
) -> TokenBatch:
    """Make the table.

    Args:
        groups: What was played, with the rewards that credit is assigned for.
        reference_logprobs: Under a reference model, shape (N,).
        values: A critic's, shape (N,).
        last_values: A critic's after the last token of each episode, shape (E,).
        action_values: A critic's of each answer, shape (turns,).
        state_values: A critic's of the state that each answer was given in, shape (turns,).

    Raises:
        ValueError: If a shape does not fit, or a number is not finite.
    """
    episodes = [episode for group in groups for episode in group.episodes]
    turns = [turn for episode in episodes for turn in episode.turns]
    sizes_t = np.array([len(turn.completion.token_ids) for turn in turns], dtype=np.intp)
    episode_t = np.repeat(np.arange(len(episodes)), [len(episode.turns) for episode in episodes])
    batch = TokenBatch(
        groups=tuple(groups),
        turn_n=np.repeat(np.arange(len(turns)), sizes_t),
        episode_t=episode_t,
        group_e=np.repeat(np.arange(len(groups)), [len(group.episodes) for group in groups]),
        cut_e=np.array([episode.status == "cut" for episode in episodes], dtype=np.bool_),
        rewards_n=_token_rewards(turns, sizes_t, episode_t),
        logprobs_n=np.fromiter((x for turn in turns for x in turn.completion.logprobs), np.float64, int(sizes_t.sum())),
        reference_logprobs_n=reference_logprobs,
        values_n=values,
        last_values_e=last_values,
        action_values_t=action_values,
        state_values_t=state_values,
    )
    for name, array, count in (
        ("rewards", batch.rewards_n, sizes_t.sum()),
        ("reference_logprobs", reference_logprobs, sizes_t.sum()),
        ("values", values, sizes_t.sum()),
        ("last_values", last_values, len(episodes)),
        ("action_values", action_values, len(turns)),
        ("state_values", state_values, len(turns)),
    ):
        if array is None:
            continue
        if array.shape != (count,):
            raise ValueError(f"expected {count} {name}, got an array of shape {array.shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"expected finite {name}, got {array[~np.isfinite(array)][0]}")
    return batch


def _token_rewards(turns: Sequence[Turn], sizes_t: NDArray[np.intp], episode_t: NDArray[np.intp]) -> Floats:
    ends_t = np.cumsum(sizes_t)
    rewards_n = np.zeros(int(sizes_t.sum()))
    rewards_t = np.array([turn.reward for turn in turns], dtype=np.float64)
    spread = [number for number, turn in enumerate(turns) if turn.token_rewards is not None and sizes_t[number]]
    for number in spread:
        rewards_n[ends_t[number] - sizes_t[number] : ends_t[number]] = turns[number].rewards_of_tokens
    rewards_t[spread] = 0.0
    # The last token at or before the end of each turn, if it is one of the same episode.
    has_token = np.zeros(len(turns), dtype=np.bool_)
    if len(rewards_n):
        owner_t = episode_t[np.repeat(np.arange(len(turns)), sizes_t)[np.maximum(ends_t - 1, 0)]]
        has_token = (ends_t > 0) & (owner_t == episode_t)
    np.add.at(rewards_n, ends_t[has_token] - 1, rewards_t[has_token])
    return rewards_n


def last_of(numbers: NDArray[np.intp]) -> NDArray[np.bool_]:
    """True at the last of each run of equal numbers."""
    result = np.ones(len(numbers), dtype=np.bool_)
    result[:-1] = numbers[1:] != numbers[:-1]
    return result
