"""Groups made by hand, and groups of all kinds for property tests."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainers.credit.tokens import TokenAdvantages, TokenBatch, token_batch
from trainers.types import Completion, Episode, Group, Turn


def completion(
    tokens: Sequence[int], prompt: Sequence[int] = (), logprobs: Sequence[float] | None = None
) -> Completion:
    return Completion(
        prompt_ids=tuple(prompt), token_ids=tuple(tokens), logprobs=tuple(logprobs or [-1.0] * len(tokens))
    )


def totals_group(*totals: float) -> Group:
    """Episodes of one turn of one token, that earn this."""
    return Group(
        task="toy/0",
        episodes=tuple(
            Episode(turns=(Turn(completion=completion([7]), state_key="s", reward=reward),)) for reward in totals
        ),
    )


def states_group(*episodes: tuple[Sequence[str], Sequence[float]]) -> Group:
    """A group from pairs: the states of the turns, as letters or texts, and their rewards; a token per turn."""
    return Group(
        task="toy/0",
        episodes=tuple(
            Episode(
                turns=tuple(
                    Turn(completion=completion([1]), state_key=key, reward=reward)
                    for key, reward in zip(states, rewards, strict=True)
                )
            )
            for states, rewards in episodes
        ),
    )


def tokens_group(*episodes: Sequence[Sequence[float]], **more: Any) -> Group:
    """Episodes whose turns are given as the rewards of their tokens."""
    return Group(
        task="toy/0",
        episodes=tuple(
            Episode(
                turns=tuple(
                    Turn(
                        completion=completion(range(len(rewards))),
                        state_key="s",
                        reward=float(sum(rewards)),
                        token_rewards=tuple(map(float, rewards)),
                    )
                    for rewards in turns
                ),
                **more,
            )
            for turns in episodes
        ),
    )


def batch_of(group: Group, values: Sequence[float] | None = None, **more: Any) -> TokenBatch:
    return token_batch([group], values=None if values is None else np.array(values, dtype=np.float64), **more)


def targets_of(result: TokenAdvantages) -> NDArray[np.float64]:
    assert result.targets_n is not None
    return result.targets_n


def shuffled(group: Group, order: Sequence[int]) -> Group:
    return replace(group, episodes=tuple(group.episodes[i] for i in order))


_reward = st.sampled_from([-0.1, 0.0, 0.5, 1.0, 10.0])
_turns = st.lists(st.tuples(st.sampled_from("ABCDE"), _reward), max_size=10)
state_groups = st.lists(_turns, min_size=1, max_size=6).map(
    lambda episodes: states_group(*(("".join(k for k, _ in e), [r for _, r in e]) for e in episodes))
)
"""Groups whose episodes pass through five states; some have no turn."""

token_groups = st.lists(
    st.tuples(
        st.lists(st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=4), min_size=1, max_size=3),
        _reward,
    ),
    min_size=1,
    max_size=5,
).map(
    lambda episodes: Group(
        task="toy/0",
        episodes=tuple(
            Episode(
                turns=tuple(
                    Turn(
                        completion=completion(tokens, prompt=[9]),
                        state_key="s",
                        reward=reward if t == len(turns) - 1 else 0.0,
                    )
                    for t, tokens in enumerate(turns)
                )
            )
            for turns, reward in episodes
        ),
    )
)
"""Groups of episodes with one to three turns of one to four tokens, paid at the end."""
