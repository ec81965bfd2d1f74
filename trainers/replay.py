"""Success replay: a group that failed as a whole gets one success from before (ARPO, Lu et al. 2025; arXiv 2505.16282).

Where every episode of a group fails, all rewards are equal, all advantages are zero, and the hardest tasks teach
nothing. ARPO keeps the last successes of each task and puts one in the place of the first episode of such a group:

    8 failures of return 0 and a buffer:    1, 0, 0, 0, 0, 0, 0, 0
    A = (1 − 1/8) / .353553 = 2.4749 for the replayed one, −.3536 for the others

It fails where a task was never solved (there is nothing to replay) and drifts where the stored success is old: the
tokens were drawn by another policy. The released code computes the old log-probabilities anew under the current policy,
so that the ratio starts at 1 and nothing corrects for that; the episodes here keep those they were drawn with, and
`Mixed.replayed` says which they are, for a trainer that wants to put others in their place (`with_logprobs`).

Replayed episodes carry their own state keys, observations and infos, so that estimators and shapers take them like any
other. A stored episode is only replayed into a group that starts in the same state.
"""

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from trainers.streams import stream
from trainers.types import Completion, Episode, Group, Turn


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplaySettings:
    """When a success is kept, and when it is replayed. The defaults are those of the released code."""

    per_task: int = 8
    """Successes of a task that are kept; a new one drives out the oldest."""
    low: float = 0.2
    """A group without a success is replayed into if the mean of its scores, 0 to 1, is below this ..."""
    flat: float = 0.05
    """... and their standard deviation is below this: scores that differ teach something by themselves."""
    max_age: int | None = None
    """Iterations after which a success is too old to be replayed; none: never."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        if self.per_task < 1 or (self.max_age is not None and self.max_age < 1):
            raise ValueError(f"expected per_task and max_age of 1 or more, got {self.per_task} and {self.max_age}")
        if not (self.low > 0 and self.flat > 0):
            raise ValueError(
                f"expected low and flat above 0, got {self.low} and {self.flat}: nothing would be replayed"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixed:
    """Groups after replay."""

    groups: list[Group]
    replayed: list[tuple[int, int]]
    """(group, episode) of each episode that was put in."""


class SuccessReplay:
    """The successes of each task, and what is done with them.

    Each iteration: `mix` the groups that were played, then `add` them as they were played.
    """

    def __init__(self, settings: ReplaySettings | None = None) -> None:
        self.settings = settings or ReplaySettings()
        self._kept: dict[str, deque[tuple[int, Episode]]] = {}

    def __len__(self) -> int:
        """Episodes in the buffer."""
        return sum(map(len, self._kept.values()))

    def mix(self, groups: Sequence[Group], *, iteration: int, seed: int) -> Mixed:
        """Return the groups, with a stored success as the first episode of each that failed as a whole.

        Args:
            groups: As they were played.
            iteration: Number of the iteration, for the age of what is stored.
            seed: Decides, with the number of the group, which success is taken.
        """
        mixed, replayed = list(groups), []
        for number, group in enumerate(groups):
            if not self._failed_as_a_whole(group):
                continue
            fitting = self._fitting(group, iteration)
            if fitting:
                success = fitting[stream(seed, number) % len(fitting)]
                mixed[number] = replace(group, episodes=(success, *group.episodes[1:]))
                replayed.append((number, 0))
        return Mixed(groups=mixed, replayed=replayed)

    def add(self, groups: Sequence[Group], *, iteration: int) -> None:
        """Keep the successes among groups as they were played: rewards unshaped, nothing replayed."""
        for group in groups:
            for episode in group.episodes:
                if _played(episode) and episode.success:
                    kept = self._kept.setdefault(group.task, deque(maxlen=self.settings.per_task))
                    # By way of JSON, so that a run that is resumed replays the very same.
                    kept.append((iteration, episode_from_json(episode_to_json(episode))))

    def _failed_as_a_whole(self, group: Group) -> bool:
        played = [episode for episode in group.episodes if _played(episode)]
        if not played or any(episode.success for episode in played):
            return False
        scores = [episode.score for episode in played]
        return bool(np.mean(scores) < self.settings.low and np.std(scores) < self.settings.flat)

    def _fitting(self, group: Group, iteration: int) -> list[Episode]:
        start = next(episode.turns[0].state_key for episode in group.episodes if _played(episode))
        oldest = -1 if self.settings.max_age is None else iteration - self.settings.max_age
        return [
            episode
            for born, episode in self._kept.get(group.task, ())
            if born >= oldest and episode.turns[0].state_key == start
        ]

    def state(self) -> dict[str, Any]:
        """Return the buffer as values that JSON can hold."""
        return {task: [[born, episode_to_json(episode)] for born, episode in kept] for task, kept in self._kept.items()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._kept = {
            task: deque(((born, episode_from_json(one)) for born, one in kept), maxlen=self.settings.per_task)
            for task, kept in state.items()
        }


def with_logprobs(episode: Episode, logprobs: Sequence[Sequence[float]]) -> Episode:
    """Return the episode with other log-probabilities of its tokens: one sequence per turn."""
    return replace(
        episode,
        turns=tuple(
            replace(turn, completion=replace(turn.completion, logprobs=tuple(map(float, values))))
            for turn, values in zip(episode.turns, logprobs, strict=True)
        ),
    )


def episode_to_json(episode: Episode) -> dict[str, Any]:
    """Return an episode as values that JSON can hold. Entries of `info` that it can't hold are left out."""
    table = asdict(replace(episode, turns=()))
    table["turns"] = [
        {**asdict(replace(turn, info={})), "info": {name: one for name, one in turn.info.items() if _is_json(one)}}
        for turn in episode.turns
    ]
    result: dict[str, Any] = json.loads(json.dumps(table))
    return result


def episode_from_json(table: Mapping[str, Any]) -> Episode:
    """Return the episode; collections in its infos are lists."""
    turns = []
    for one in table["turns"]:
        completion = Completion(
            prompt_ids=tuple(one["completion"]["prompt_ids"]),
            token_ids=tuple(one["completion"]["token_ids"]),
            logprobs=tuple(one["completion"]["logprobs"]),
            finish=one["completion"]["finish"],
        )
        tokens = one["token_rewards"]
        changes = {
            "completion": completion,
            "messages": tuple(one["messages"]),
            "token_rewards": None if tokens is None else tuple(tokens),
        }
        turns.append(Turn(**{**one, **changes}))
    return Episode(**{**table, "turns": tuple(turns), "next_ids": tuple(table.get("next_ids", ()))})


def _is_json(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def _played(episode: Episode) -> bool:
    return bool(episode.turns) and episode.status != "failed"
