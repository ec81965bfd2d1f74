"""TEMPO / P2T: the answers of a group as a prefix tree (arXiv 2509.18314).

A group of attempts at one task is a tree: they share a beginning and part where they were sampled differently. The
value of a node is the mean total reward of the attempts that pass through it, and the step from one node to the next
earns what it changes:

    V(B)  = mean of R_j over the rollouts j in B              B_t: those that share what came before t
    A_it  = (R_i − mean(R) + V(B_{t+1}) − V(B_t)) / (std(R) + ε)

That is GRPO's advantage plus a temporal difference, without a critic. The difference is zero where nobody branches off,
and for the rest of an attempt once it is alone; along an attempt it adds up to R_i − mean(R), if whole attempts that
are the same earned the same. So where attempts part at once it says no more than that the first step was good or bad,
and doubles GRPO there; its benefit lies in long shared beginnings.

`Tempo` branches at tokens. What the policy was shown between its answers belongs to the prefix (an environment may
answer differently); a prompt is one step of the tree, whose difference is luck and is given to no token. The end of an
answer is in the tree because its end token is, or because a prompt follows. Ids are compared, never text.
`TempoTurns` branches at turns.

The tree is never built. Attempts that share a prefix are a set, which is cut into parts symbol by symbol, and a part of
one is done with: linear in the length of what is shared.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from agent_gym.keys import STATE_KEY
from trainers.credit.anchors import anchor_states
from trainers.credit.base import CreditParts
from trainers.credit.numerics import (
    EPSILON,
    Floats,
    Statistics,
    check_choice,
    episode_advantages,
    relative_to_pool,
    spread_over_turns,
    total_reward,
)
from trainers.credit.tokens import TokenAdvantages, TokenBatch
from trainers.types import Episode, Group

Branching = Literal["actions", "states"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tempo:
    """GRPO plus the temporal difference of the prefix tree's values at every token."""

    normalise: bool = True
    """Divide by the group's standard deviation (ddof 1), the difference too."""

    @property
    def smallest_group(self) -> int:
        """Episodes a group must have to teach anything."""
        return 2

    def assign(self, batch: TokenBatch, /) -> TokenAdvantages:
        """Return an advantage for every token."""
        found = [np.zeros(0)]
        for group in batch.groups:
            totals, scale = _totals_and_scale(group, normalise=self.normalise)
            if not len(totals):
                continue
            differences = prefix_differences([_tokens_and_prompts(episode) for episode in group.episodes], totals)
            centred = relative_to_pool(totals, np.zeros(len(totals), dtype=np.intp), normalise=False)
            for episode, a_episode, step in zip(group.episodes, centred, differences, strict=True):
                found.append((a_episode + step[_is_token(episode)]) / scale)
        return TokenAdvantages(advantages_n=np.concatenate(found))


@dataclass(frozen=True, kw_only=True, slots=True)
class TempoTurns:
    """GRPO plus the temporal difference of the prefix tree's values at every turn."""

    branching: Branching = "states"
    """What makes two attempts part: states, when a turn leads to another state than the other's (by state key, and at
    the end by the key that the environment tells); actions, when it gives another command (or, where no wrapper takes a
    command out of an answer, another answer)."""
    normalise: bool = True
    """Divide by the group's standard deviation (ddof 1), the difference too."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        check_choice("branching", self.branching, get_args(Branching))

    @property
    def smallest_group(self) -> int:
        """Episodes a group must have to teach anything."""
        return 2

    def __call__(self, group: Group, /) -> list[Floats]:
        """Return one array per episode, of shape (turns,)."""
        parts = self.parts(group)
        return [a_episode + a_step for a_episode, a_step in zip(parts.episode, parts.step, strict=True)]

    def parts(self, group: Group, /) -> CreditParts:
        """The part of GRPO, and that of the differences."""
        totals, scale = _totals_and_scale(group, normalise=self.normalise)
        statistics: Statistics = "episodes"
        a_episode = episode_advantages(group, normalise=self.normalise, statistics=statistics, singletons="zero")
        symbols = _actions if self.branching == "actions" else _states_reached
        steps = prefix_differences([symbols(episode) for episode in group.episodes], totals)
        return CreditParts(
            episode=spread_over_turns(a_episode, group),
            step=[step / scale for step in steps],
            anchors=anchor_states(group),
        )


def prefix_differences(sequences: Sequence[Sequence[Hashable]], outcomes: Floats) -> list[Floats]:
    """V(B_{t+1}) − V(B_t) at each symbol of each sequence, V the mean outcome of those that share a prefix.

    Args:
        sequences: What was done, symbol by symbol, from the same start.
        outcomes: One per sequence.

    Returns:
        One array per sequence, of its length.
    """
    differences = [np.zeros(len(sequence)) for sequence in sequences]
    if not len(sequences):
        return differences
    values = outcomes.tolist()
    shared = [(list(range(len(sequences))), 0, float(outcomes.mean()))]
    while shared:
        members, depth, value = shared.pop()
        parts: dict[Hashable, list[int]] = {}
        for member in members:
            if depth < len(sequences[member]):
                parts.setdefault(sequences[member][depth], []).append(member)
        for part in parts.values():
            if len(part) == len(members):
                shared.append((part, depth + 1, value))  # nobody branches off: exactly no difference
                continue
            there = sum(values[member] for member in part) / len(part)
            for member in part:
                differences[member][depth] = there - value
            if len(part) > 1:
                shared.append((part, depth + 1, there))
    return differences


def _totals_and_scale(group: Group, *, normalise: bool) -> tuple[Floats, float]:
    """Total rewards, all the same number if they differ by rounding only, and what advantages are divided by."""
    totals = np.array([total_reward(episode) for episode in group.episodes], dtype=np.float64)
    if not len(totals):
        return totals, 1.0
    centred = relative_to_pool(totals, np.zeros(len(totals), dtype=np.intp), normalise=False)
    if not centred.any():
        return np.full_like(totals, totals[0]), 1.0
    return totals, float(totals.std(ddof=1)) + EPSILON if normalise else 1.0


def _tokens_and_prompts(episode: Episode) -> list[Hashable]:
    """Each turn's prompt as one symbol, and its tokens."""
    symbols: list[Hashable] = []
    for turn in episode.turns:
        symbols.append(turn.completion.prompt_ids)
        symbols += turn.completion.token_ids
    return symbols


def _is_token(episode: Episode) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    def flags() -> Iterator[bool]:
        for turn in episode.turns:
            yield False
            yield from (True,) * len(turn.completion.token_ids)

    return np.fromiter(flags(), dtype=np.bool_)


def _actions(episode: Episode) -> list[Hashable]:
    return [turn.action or turn.completion.token_ids for turn in episode.turns]


def _states_reached(episode: Episode) -> list[Hashable]:
    """The state that each turn led to; after the last one what the environment told, or that it was the end."""
    if not episode.turns:
        return []
    last = episode.turns[-1].info.get(STATE_KEY, ("end", episode.status, episode.success))
    return [*(turn.state_key for turn in episode.turns[1:]), last]
