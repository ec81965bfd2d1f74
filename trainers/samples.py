"""From turns to tokens: the one place where episodes become what a model is trained on.

Each turn carries the ids that the policy was shown and the ids that it sampled; a sample lays them end to end. In
*step* context every turn is a sample of its own, in *conversation* context an episode is one, because there the ids
shown at a turn are only what was new since the last answer:

    step          [prompt 0 | answer 0]   [prompt 1 | answer 1]
    conversation  [prompt 0 | answer 0 | new 1 | answer 1 | new 2 | answer 2]
    action_mask    0 0 0 0 0  1 1 1 1 1   0 0 0   1 1 1 1   0 0 0   1 1 1 1

Everything that belongs to a token stands at that token's position: `old_logprobs[t]` is the log-probability of `ids[t]`
given `ids[:t]`. Ids are never decoded and encoded again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainers.types import Episode, Group, Turn

Context = Literal["step", "conversation"]
Advantages = NDArray[np.float64] | Sequence[NDArray[np.float64]]
"""Of an episode: of its turns, or of the tokens of each turn."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sample:
    """A row of tokens to learn from, all arrays of shape (T,). Off the action tokens only `ids` means anything."""

    ids: NDArray[np.int64]
    action_mask: NDArray[np.bool_]
    """True where the policy sampled the token; never at position 0."""
    old_logprobs: NDArray[np.float32]
    """Log-probabilities (nats) as the sampler gave them, 0 off the action tokens."""
    advantages: NDArray[np.float32]
    """Advantage of the turn that the token belongs to, 0 off the action tokens."""
    group: int
    """Number of the group within the batch, over all ranks."""
    episode: int
    """Number of the episode within its group."""
    turn: int
    """Number of the turn within its episode; of the first turn in a conversation."""

    def __len__(self) -> int:
        """Tokens, those of the prompts included."""
        return len(self.ids)

    @property
    def prompt_tokens(self) -> int:
        """Tokens before the first action token."""
        return int(self.action_mask.argmax())

    @property
    def key(self) -> tuple[int, int, int]:
        """Where the sample comes from: group, episode, turn. Unique within a batch."""
        return self.group, self.episode, self.turn


def build_samples(
    groups: Sequence[Group],
    advantages: Sequence[Sequence[Advantages]] | None,
    context: Context,
    *,
    first_group: int = 0,
) -> list[Sample]:
    """Lay the turns of all groups out as rows of tokens.

    Args:
        groups: What was played, in any state: episodes without turns give no sample, neither do turns without tokens.
        advantages: For each group one array per episode, of shape (turns,), as credit estimators return them; or, where
            tokens have their own, a list per episode with one array of shape (tokens,) per turn. None stands for
            demonstrations: every token counts 1.
        context: "step" for a sample per turn, "conversation" for a sample per episode.
        first_group: Number of the first group, for ranks that each hold a part of the batch.

    Returns:
        The samples, in the order of groups, episodes and turns.

    Raises:
        ValueError: If lengths do not fit together, an advantage is not finite or an answer has no prompt before it. The
            message names the episode.
    """
    if context not in ("step", "conversation"):
        raise ValueError(f"expected context to be 'step' or 'conversation', got {context!r}")
    if advantages is None:
        advantages = [[np.ones(len(episode.turns)) for episode in group.episodes] for group in groups]
    if len(advantages) != len(groups):
        raise ValueError(f"expected advantages for {len(groups)} groups, got them for {len(advantages)}")
    samples: list[Sample] = []
    for g, (group, advantages_e) in enumerate(zip(groups, advantages, strict=True)):
        if len(advantages_e) != len(group.episodes):
            raise ValueError(
                f"expected one array of advantages per episode of task {group.task!r}, got {len(advantages_e)} for "
                f"{len(group.episodes)} episodes"
            )
        for e, (episode, advantages_t) in enumerate(zip(group.episodes, advantages_e, strict=True)):
            name = f"episode {e} of task {group.task!r}"
            _check_advantages(episode, advantages_t, name)
            origin = (first_group + g, e)
            if context == "conversation":
                samples += _lay_out(episode.turns, advantages_t, origin, 0, name)
                continue
            for t, turn in enumerate(episode.turns):
                samples += _lay_out((turn,), advantages_t[t : t + 1], origin, t, f"turn {t} of {name}")
    return samples


def _check_advantages(episode: Episode, advantages_t: Advantages, name: str) -> None:
    if isinstance(advantages_t, np.ndarray):
        if advantages_t.shape != (len(episode.turns),):
            raise ValueError(
                f"expected one advantage per turn of {name}, got shape {advantages_t.shape} for {len(episode.turns)} "
                "turns"
            )
        finite = bool(np.isfinite(advantages_t).all())
    else:
        tokens = [len(turn.completion.token_ids) for turn in episode.turns]
        if [np.shape(one) for one in advantages_t] != [(count,) for count in tokens]:
            raise ValueError(
                f"expected one advantage per token of {name}, got shapes {[np.shape(one) for one in advantages_t]} for "
                f"turns of {tokens} tokens"
            )
        finite = all(np.isfinite(one).all() for one in advantages_t)
    if not finite:
        raise ValueError(f"expected finite advantages for {name}, got {[np.asarray(a).tolist() for a in advantages_t]}")


def _lay_out(
    turns: Sequence[Turn], advantages: Advantages, origin: tuple[int, int], first_turn: int, name: str
) -> list[Sample]:
    """One sample of the turns laid end to end, or none if nothing was sampled; what follows the last answer is cut."""
    while turns and not turns[-1].completion.token_ids:
        turns, advantages = turns[:-1], advantages[:-1]
    if not turns:
        return []
    if not turns[0].completion.prompt_ids:
        raise ValueError(
            f"expected a prompt before the first answer of {name}, got none: the first token of an answer has no "
            "probability without a token before it"
        )
    ids: list[int] = []
    logprobs: list[float] = []
    mask: list[bool] = []
    weights: list[float] = []
    for turn, advantage in zip(turns, advantages, strict=True):
        prompt, answer = turn.completion.prompt_ids, turn.completion.token_ids
        ids += (*prompt, *answer)
        mask += [False] * len(prompt) + [True] * len(answer)
        logprobs += (*([0.0] * len(prompt)), *turn.completion.logprobs)
        weights += [0.0] * len(prompt)
        weights += [float(advantage)] * len(answer) if np.ndim(advantage) == 0 else advantage.tolist()
    old_logprobs = np.array(logprobs, dtype=np.float32)
    if not np.isfinite(old_logprobs).all():
        raise ValueError(f"expected finite log-probabilities in {name}: a token of probability 0 cannot be learnt from")
    group, episode = origin
    return [
        Sample(
            ids=np.array(ids, dtype=np.int64),
            action_mask=np.array(mask, dtype=np.bool_),
            old_logprobs=old_logprobs,
            advantages=np.array(weights, dtype=np.float32),
            group=group,
            episode=episode,
            turn=first_turn,
        )
    ]


MAX_PADDING = 0.1
"""Largest share of padding in a micro-batch."""


def split_by_tokens(samples: Sequence[Sample], budget: int) -> list[list[Sample]]:
    """Cut samples into micro-batches of at most `budget` tokens, padding included, of which at most a tenth is padding.

    Samples are sorted by length (ties by origin, so the cut does not depend on the order they came in), and a
    micro-batch is closed when the next sample would break either limit. A sample longer than the budget is alone.
    """
    batches: list[list[Sample]] = []
    used = 0  # real tokens of the batch being filled; its first sample is its longest
    for sample in sorted(samples, key=lambda sample: (-len(sample), sample.key)):
        if batches:
            padded = (len(batches[-1]) + 1) * len(batches[-1][0])
            if padded <= budget and padded - used - len(sample) <= MAX_PADDING * padded:
                batches[-1].append(sample)
                used += len(sample)
                continue
        batches.append([sample])
        used = len(sample)
    return batches


def saved_by_sharing(rows: int, shared: int, longest: int) -> float:
    """Tokens' worth of work that is saved if what `rows` rows of at most `longest` tokens begin with is computed once.

    A rest that attends to a beginning beside it does so under a mask, and kernels for plain causal attention, which
    skip half the pairs, are out. So long rests make up for short beginnings: a pair costs about 1/512 of a token's
    other work in the smallest models, and less in any other.
    """
    rest = longest - shared
    return (rows - 1) * shared - rows * rest * rest / 1024


def split_by_prompt(samples: Sequence[Sample], budget: int, least_saved: float) -> list[list[Sample]]:
    """Cut samples as `split_by_tokens` does, but with those that answer the same prompt by themselves.

    Where the prompt is then computed once, that saves its tokens for every answer but one; below `least_saved` it is
    not worth a micro-batch. The members of a group all begin with the same prompt, and so do turns in the same state.
    """
    by_prompt: dict[bytes, list[Sample]] = {}
    for sample in samples:
        by_prompt.setdefault(sample.ids[: sample.prompt_tokens].tobytes(), []).append(sample)
    parts: list[list[Sample]] = []
    rest: list[Sample] = []
    for alike in by_prompt.values():
        if saved_by_sharing(len(alike), alike[0].prompt_tokens, max(map(len, alike))) >= least_saved:
            parts += split_by_tokens(alike, budget)
        else:
            rest += alike
    return parts + split_by_tokens(rest, budget)
