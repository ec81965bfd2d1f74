"""Turns as a critic of whole answers sees them: (s, a, r, s'), in a buffer that forgets the oldest.

A turn's state is all that the policy was shown up to its answer, its action is the answer. Whether the episode ended
there by its own rules (`done`) is kept apart from whether a limit cut it off: there s' is what would have been shown
next, and its value counts. A turn without a next state that is not done says nothing and is not kept.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from trainers.samples import Context
from trainers.types import Episode, Group


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One turn as token ids."""

    state: tuple[int, ...]
    """All that was in front of the answer."""
    answer: tuple[int, ...]
    reward: float
    following: tuple[int, ...] | None
    """All that was, or would have been, in front of the next answer; none at an end."""
    done: bool

    @property
    def kept(self) -> bool:
        """Whether something can be learnt from it."""
        return self.done or self.following is not None


def shown_turns(groups: Sequence[Group], context: Context) -> Iterator[Shown | None]:
    """The turns of groups in their order; None for one without an answer."""
    for group in groups:
        for episode in group.episodes:
            yield from _of_episode(episode, context)


def _of_episode(episode: Episode, context: Context) -> Iterator[Shown | None]:
    states: list[tuple[int, ...]] = []
    so_far: tuple[int, ...] = ()
    for turn in episode.turns:
        shown = turn.completion.prompt_ids if context == "step" else so_far + turn.completion.prompt_ids
        states.append(shown)
        so_far = shown + turn.completion.token_ids
    after = None
    if episode.next_ids:
        after = episode.next_ids if context == "step" else so_far + episode.next_ids
    for number, turn in enumerate(episode.turns):
        last = number + 1 == len(episode.turns)
        if not turn.completion.token_ids:
            yield None
            continue
        yield Shown(
            state=states[number],
            answer=turn.completion.token_ids,
            reward=turn.reward,
            following=after if last else states[number + 1],
            done=last and episode.status == "finished",
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Turns:
    """Turns as numbers, along the first axis; what a state and an action are is the encoder's business."""

    states: Tensor
    actions: Tensor
    next_states: Tensor
    """Anything where `done`."""
    rewards: Tensor
    done: Tensor

    def __len__(self) -> int:
        """Turns."""
        return len(self.rewards)

    def __getitem__(self, places: Tensor | slice) -> "Turns":
        """Some of them."""
        return Turns(**{one.name: getattr(self, one.name)[places] for one in fields(self)})


class TurnBuffer:
    """The last turns, and the ids that their states consist of, so that the policy can answer them again."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.turns: Turns | None = None
        self.ids: list[tuple[int, ...]] = []

    def __len__(self) -> int:
        """Turns in it."""
        return len(self.ids)

    def add(self, turns: Turns, ids: Sequence[tuple[int, ...]]) -> None:
        """Add turns with the ids of their states."""
        assert len(turns) == len(ids), (len(turns), len(ids))
        if not ids:
            return
        if self.turns is not None:
            pairs = {one.name: (getattr(self.turns, one.name), getattr(turns, one.name)) for one in fields(Turns)}
            turns = Turns(**{name: torch.cat(pair) for name, pair in pairs.items()})
        self.turns = turns[slice(-self.capacity, None)]
        self.ids = [*self.ids, *ids][-self.capacity :]

    def state(self) -> dict[str, Tensor]:
        """The buffer as tensors by name."""
        if self.turns is None:
            return {}
        tensors = {one.name: getattr(self.turns, one.name) for one in fields(Turns)}
        flat = np.fromiter((token for ids in self.ids for token in ids), np.int64)
        sizes = np.array([len(ids) for ids in self.ids], dtype=np.int64)
        return tensors | {"ids": torch.from_numpy(flat), "ids_sizes": torch.from_numpy(sizes)}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Hold what `state` gave."""
        if not tensors:
            self.turns, self.ids = None, []
            return
        self.turns = Turns(**{one.name: tensors[one.name] for one in fields(Turns)})
        ends = np.cumsum(tensors["ids_sizes"].numpy())
        self.ids = [tuple(part.tolist()) for part in np.split(tensors["ids"].numpy(), ends)[:-1]]
