"""From groups as they were played to groups with advantages: shapers, then the estimator, on episodes that count."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agent_gym.errors import AgentGymError
from trainers.credit import CreditEstimator, TokenAdvantages, TokenBatch, TokenCredit, credit_parts, token_batch
from trainers.credit.anchors import anchor_states
from trainers.credit.base import CreditParts
from trainers.critics.lesson import Lesson
from trainers.samples import Context, Sample, build_samples
from trainers.types import Group

Floats = NDArray[np.float64]
Shaper = Callable[[Group], Group]
Logprobs = Callable[[Sequence[Sample]], Sequence[Floats]]
"""Gives the log-probabilities of each sample's action tokens, shape (N,)."""
Assess = Callable[[Sequence[Group], Context], Mapping[str, Floats]]
"""Gives what a critic says of groups, by the names that `token_batch` has for it."""


class CreditError(AgentGymError, ValueError):
    """An estimator has returned what is no advantage for every turn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Credited:
    """What a group teaches. All lists have one entry per episode of `group`, arrays of the shape (turns,)."""

    played: Group
    """The group as it was played, failed episodes and unshaped rewards included."""
    group: Group
    """What is learnt from: shaped rewards, without the episodes that failed or only served for comparison."""
    members: tuple[int, ...]
    """Where each episode of `group` stands in `played`."""
    anchors: NDArray[np.intp]
    """Number of the state that each turn was taken in, over all turns of `group`: shape (turns of the group,)."""
    advantages: list[Floats]
    """Of each turn; where tokens have their own, their mean."""
    episode_part: list[Floats]
    """What comes from comparing episodes; with `step_part` it adds up to `advantages`."""
    step_part: list[Floats]
    """What comes from comparing turns in the same state; zero for an estimator that does not."""
    token_advantages: list[list[Floats]] | None = None
    """Of each token, an array of shape (tokens,) per turn; none where all tokens of a turn share its advantage."""
    lesson: Lesson | None = None
    """What a critic is to learn, over all tokens of `group`; none without a critic."""

    @property
    def silent(self) -> bool:
        """Whether every advantage is zero, so that nothing is learnt."""
        if self.token_advantages is not None:
            return not any(np.any(turn) for episode in self.token_advantages for turn in episode)
        return not any(np.any(one) for one in self.advantages)

    @property
    def learnt(self) -> Sequence[Floats | list[Floats]]:
        """The advantages as `build_samples` takes them."""
        return self.advantages if self.token_advantages is None else self.token_advantages


def assign_batch(
    credit: CreditEstimator | TokenCredit,
    played: Sequence[Group],
    shapers: Sequence[Shaper] = (),
    context: Context = "step",
    reference_logprobs: Logprobs | None = None,
    assess: Assess | None = None,
) -> list[Credited]:
    """Shape the rewards of a batch of groups and assign credit in them.

    An episode that failed says nothing about the policy, since the error was the environment's: it neither gets credit
    nor counts in the group's statistics. One that was cut off by a limit does both.

    Args:
        credit: The estimator, of either kind.
        played: All groups of the batch.
        shapers: Change the rewards, one after the other.
        context: How turns become the samples that `reference_logprobs` is asked for.
        reference_logprobs: Log-probabilities under a reference model, for an estimator that needs them.
        assess: A critic, for an estimator that needs one. It is asked about the episodes that count.

    Raises:
        CreditError: If the estimator returns another number of advantages, or one that is not finite.
    """
    if not isinstance(credit, TokenCredit):
        return [assign_credit(credit, group, shapers) for group in played]
    prepared = [_prepare(group, shapers) for group in played]
    groups = [group for group, _ in prepared]
    reference = None
    if getattr(credit, "needs_reference", False) and reference_logprobs is not None:
        logprobs = reference_logprobs(build_samples(groups, None, context))
        reference = np.concatenate([np.zeros(0), *logprobs])
    assessed = assess(groups, context) if assess is not None else {}
    batch = token_batch(groups, reference_logprobs=reference, **assessed)
    found = credit.assign(batch)
    count = len(batch.turn_n)
    if np.shape(found.advantages_n) != (count,) or not np.isfinite(found.advantages_n).all():
        raise CreditError(
            f"{_name(credit)} must return a finite advantage for each of {count} tokens, got "
            + _described(found.advantages_n)
        )
    by_turn = batch.per_turn(found.advantages_n)
    lessons: Sequence[Lesson | None] = _lessons(batch, found) or [None] * len(groups)
    result = []
    for before, (group, members), tokens, lesson in zip(played, prepared, by_turn, lessons, strict=True):
        means = [np.array([turn.mean() if len(turn) else 0.0 for turn in episode]) for episode in tokens]
        result.append(
            Credited(
                played=before,
                group=group,
                members=members,
                anchors=anchor_states(group),
                advantages=means,
                episode_part=means,
                step_part=[np.zeros_like(one) for one in means],
                token_advantages=tokens,
                lesson=lesson,
            )
        )
    return result


def _lessons(batch: TokenBatch, found: TokenAdvantages) -> list[Lesson]:
    """What a critic is to learn from each group; nothing without a critic."""
    if found.targets_n is None or batch.values_n is None:
        return []
    taught_n = np.ones(len(batch.values_n), dtype=np.bool_) if found.taught_n is None else found.taught_n
    group_n = batch.group_e[batch.episode_n]
    sizes = np.bincount(group_n, minlength=len(batch.groups))
    return Lesson(values_n=batch.values_n, targets_n=found.targets_n, taught_n=taught_n).cut(sizes.tolist())


def assign_credit(credit: CreditEstimator, played: Group, shapers: Sequence[Shaper] = ()) -> Credited:
    """The same for one group, with an estimator that needs no more."""
    group, members = _prepare(played, shapers)
    parts = credit_parts(credit, group)
    _check(credit, group, parts)
    kept = [place for place, episode in enumerate(group.episodes) if not episode.baseline]
    owner = np.repeat(np.arange(len(group.episodes)), [len(episode.turns) for episode in group.episodes])
    episode_part, step_part = ([part[place] for place in kept] for part in (parts.episode, parts.step))
    return Credited(
        played=played,
        group=replace(group, episodes=tuple(group.episodes[place] for place in kept)),
        members=tuple(members[place] for place in kept),
        anchors=parts.anchors[np.isin(owner, kept)],
        advantages=[a_episode + a_step for a_episode, a_step in zip(episode_part, step_part, strict=True)],
        episode_part=episode_part,
        step_part=step_part,
    )


def _check(credit: CreditEstimator, group: Group, parts: CreditParts) -> None:
    """Refuse advantages that can't be learnt from; those of an estimator of one's own may be."""
    for part in (parts.episode, parts.step):
        if len(part) != len(group.episodes):
            raise CreditError(
                f"{_name(credit)} must return an array for each of {len(group.episodes)} episodes, got {len(part)}."
            )
        for place, (episode, found) in enumerate(zip(group.episodes, part, strict=True)):
            if np.shape(found) != (len(episode.turns),) or not np.isfinite(found).all():
                raise CreditError(
                    f"{_name(credit)} must return a finite advantage for each of {len(episode.turns)} turns of episode "
                    f"{place}, got {_described(found)}"
                )


def _name(credit: object) -> str:
    return f"{type(credit).__module__}:{type(credit).__qualname__}"


def _described(found: object) -> str:
    values = np.asarray(found)
    if np.isfinite(values).all():
        return f"an array of shape {values.shape}."
    return f"{values[~np.isfinite(values)].flat[0]} at {tuple(np.argwhere(~np.isfinite(values))[0].tolist())}."


def _prepare(played: Group, shapers: Sequence[Shaper]) -> tuple[Group, tuple[int, ...]]:
    """The episodes that count, with shaped rewards, and where they stand in what was played."""
    members = tuple(number for number, episode in enumerate(played.episodes) if episode.status != "failed")
    if any(episode.baseline and episode.status == "failed" for episode in played.episodes):
        members = ()  # what they would have been compared with is missing
    group = replace(played, episodes=tuple(played.episodes[number] for number in members))
    for shaper in shapers:
        group = shaper(group)
    return group, members


def uncredited(played: Group) -> Credited:
    """A group that nothing is learnt from, in the form in which those are written that something is."""
    nothing = replace(played, episodes=())
    return Credited(
        played=played,
        group=nothing,
        members=(),
        anchors=anchor_states(nothing),
        advantages=[],
        episode_part=[],
        step_part=[],
    )
