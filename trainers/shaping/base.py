"""What a shaper is, what it may remember, and how several of them work one after the other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from trainers.types import Episode, Group

Floats = NDArray[np.float64]


class Shaper(Protocol):
    """Changes rewards. It never changes what it is given, and the same group always gives the same result."""

    def __call__(self, group: Group, /) -> Group:
        """Return the group with other rewards; episodes, turns and their order stay."""


@runtime_checkable
class FittedShaper(Shaper, Protocol):
    """A shaper that learns from what was played."""

    def fit(self, groups: Sequence[Group], /) -> Mapping[str, float]:
        """Take in an iteration's groups, with the rewards that the shaper was given, and return what to log.

        Called once per iteration, after its groups were shaped: what shapes a group was learnt from earlier ones. Every
        rank calls it with all groups in the same order and comes to the same result.
        """

    def state(self) -> "ShaperState":
        """Return everything that it has learnt, for a checkpoint."""

    def load_state(self, state: "ShaperState", /) -> None:
        """Go on from a checkpoint.

        Raises:
            ValueError: If the state is not one of this shaper.
        """


@runtime_checkable
class Startable(Protocol):
    """Settings of a shaper that learns. The settings are frozen and can be shared; what they start can not."""

    def start(self) -> FittedShaper:
        """Return a shaper that has learnt nothing yet."""


@dataclass(frozen=True, kw_only=True)
class ShaperState:
    """What a shaper has learnt: arrays by name, and values that JSON can hold."""

    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


class ShaperChain:
    """Shapers in the order in which they work; itself a shaper that can be fitted and saved.

    Args:
        settings: Shapers, or settings that start one.
    """

    def __init__(self, settings: Sequence[Shaper | Startable] = ()) -> None:
        self.shapers: list[Shaper] = [one.start() if isinstance(one, Startable) else one for one in settings]

    def __call__(self, group: Group, /) -> Group:
        """Return the group with the rewards that the last shaper leaves."""
        for shaper in self.shapers:
            group = shaper(group)
        return group

    def fit(self, groups: Sequence[Group], /) -> dict[str, float]:
        """Fit each shaper to the groups as the ones before it leave them; names start with the shaper's place."""
        metrics: dict[str, float] = {}
        last = max((place for place, one in enumerate(self.shapers) if isinstance(one, FittedShaper)), default=-1)
        for place, shaper in enumerate(self.shapers[: last + 1]):
            # Shaped before the fit: what comes next sees what it was given in this iteration.
            shaped = [shaper(group) for group in groups] if place < last else []
            if isinstance(shaper, FittedShaper):
                metrics |= {f"{place}/{name}": value for name, value in shaper.fit(groups).items()}
            groups = shaped
        return metrics

    def state(self) -> ShaperState:
        """Return the state of all shapers that have one."""
        arrays: dict[str, NDArray[Any]] = {}
        values: dict[str, Any] = {}
        for place, shaper in enumerate(self.shapers):
            if isinstance(shaper, FittedShaper):
                state = shaper.state()
                arrays |= {f"{place}/{name}": array for name, array in state.arrays.items()}
                values[str(place)] = state.values
        return ShaperState(arrays=arrays, values=values)

    def load_state(self, state: ShaperState, /) -> None:
        """Go on from a checkpoint.

        Raises:
            ValueError: If it was written by other shapers.
        """
        fitted = {str(place): one for place, one in enumerate(self.shapers) if isinstance(one, FittedShaper)}
        if state.values.keys() != fitted.keys():
            raise ValueError(
                f"expected the state of the shapers at places {list(fitted)}, got that of {list(state.values)}: "
                "resume with the shapers that the run was begun with"
            )
        for place, shaper in fitted.items():
            arrays = {
                name.removeprefix(f"{place}/"): array
                for name, array in state.arrays.items()
                if name.startswith(f"{place}/")
            }
            shaper.load_state(ShaperState(arrays=arrays, values=state.values[place]))


def reshape(group: Group, rewards: Callable[[Episode], Floats]) -> Group:
    """Return the group with rewards that are computed episode by episode.

    Args:
        group: What was played.
        rewards: Gives the new rewards of an episode, shape (turns,). The difference to the old ones belongs to the last
            token of each turn.
    """
    return replace(group, episodes=tuple(with_rewards(episode, rewards(episode)) for episode in group.episodes))


def with_rewards(episode: Episode, rewards: Floats) -> Episode:
    """Return the episode with other rewards of its turns, shape (turns,)."""
    return replace(
        episode,
        turns=tuple(replace(turn, reward=float(reward)) for turn, reward in zip(episode.turns, rewards, strict=True)),
    )


def played_episodes(groups: Sequence[Group]) -> list[Episode]:
    """Episodes that can be learnt from: with turns, and not ended by an error of the environment."""
    return [episode for group in groups for episode in group.episodes if episode.turns and episode.status != "failed"]
