"""LaRe: Latent Reward (Qu et al., AAAI 2025; arXiv 2412.11120).

A return is decomposed into step rewards by a network that is only told the sum; raw observations are a poor input for
that, since most of what they say has nothing to do with reward. LaRe lets a language model write the code of a few
factors that have, and learns a small decoder from them:

    z_t = φ(s_t, a_t)          the code, written once
    r̂_t = f(z_t)               fitted so that Σ_t r̂_t ≈ R         losses RD, RRD, RRD-u (see `decoder`)

and r̂ replaces the delayed reward. It fails with the factors: what they do not show can't be credited. The outputs add
up to R only as well as the network fits; `conserve` makes them.

The paper's continuous-control agents relabel rewards in a replay buffer and scale r̂ by the length; here r̂ is computed
for the groups in hand and not scaled. Factors are standardised over the buffer before they enter the network.
"""

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from agent_gym.errors import BadOptionError
from trainers.credit.numerics import check_choice
from trainers.judges.base import Step, steps_of_episode
from trainers.shaping.base import ShaperState, played_episodes, with_rewards
from trainers.shaping.factors import CodeFactors, Factors, plain_factors
from trainers.shaping.spa import conserved
from trainers.types import Episode, Group

if TYPE_CHECKING:
    from trainers.shaping.decoder import Decoder

Floats = NDArray[np.float64]
Loss = Literal["rd", "rrd", "rrd-u"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lare:
    """Replaces each step's reward by what a decoder makes of its factors. Sizes are those of the paper's MPE runs."""

    factors: str = ""
    """File with the source of a function `factors`, as a model writes it; it runs in a sandbox. Empty: six factors that
    any text environment has."""
    loss: Loss = "rd"
    """rd: the whole episode. rrd: a random part of it, biased towards equal rewards. rrd-u: that without the bias."""
    subset: int = 64
    """K, steps of an episode that rrd and rrd-u look at; 2 or more."""
    width: int = 64
    """Of the decoder's hidden layers; 256 in the paper's MuJoCo runs."""
    layers: int = 5
    """Hidden layers of the decoder; 3 in the paper's MuJoCo runs."""
    learning_rate: float = 5e-4
    """Of Adam; 3e-4 in the paper's MuJoCo runs."""
    updates: int = 100
    """Steps of Adam per iteration."""
    batch: int = 256
    """Episodes per step of Adam."""
    buffer: int = 2048
    """Episodes, the last ones played, that the decoder is fitted to."""
    conserve: bool = False
    """Spread what the rewards lack to the episode's return evenly over its steps."""
    seed: int = 0
    """Of the decoder's weights and of what is drawn for its updates."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        check_choice("loss", self.loss, get_args(Loss))
        if min(self.width, self.updates, self.batch, self.buffer) < 1 or self.layers < 0 or self.subset < 2:
            raise ValueError(f"expected sizes of 1 or more, layers of 0 or more, a subset of 2 or more, got {self}")
        if not self.learning_rate > 0:
            raise ValueError(f"expected a learning_rate above 0, got {self.learning_rate}")

    def start(self) -> "LareShaper":
        """Return a shaper that has seen no episode; until it has, it leaves rewards as they are.

        Raises:
            BadOptionError: If the file with the factors can't be read.
            UnsafeCodeError: If it holds code that is not allowed.
        """
        if not self.factors:
            return LareShaper(self, plain_factors)
        try:
            code = Path(self.factors).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadOptionError(f"expected a file with the code of factors, got {self.factors!r}: {error}") from error
        return LareShaper(self, CodeFactors(code))


class LareShaper:
    """Factors, decoder, and the episodes that it is fitted to."""

    def __init__(self, settings: Lare, factors: Factors) -> None:
        self.settings = settings
        self.factors = factors
        self.decoder: Decoder | None = None
        self._seen: deque[tuple[Floats, float]] = deque(maxlen=settings.buffer)
        self._rng = np.random.default_rng(settings.seed)

    def __call__(self, group: Group, /) -> Group:
        """Return the group with decoded rewards; as it was where its factors could not be computed."""
        if self.decoder is None:
            return group
        steps = [step for episode in group.episodes for step in steps_of_episode(group.task, episode)]
        rows = self.factors(steps) if steps else None
        if rows is None:
            return group
        rewards = self.decoder.predict(rows)
        ends = np.cumsum([len(episode.turns) for episode in group.episodes])
        return Group(
            task=group.task,
            episodes=tuple(
                self._decoded(episode, part)
                for episode, part in zip(group.episodes, np.split(rewards, ends[:-1]), strict=True)
            ),
        )

    def _decoded(self, episode: Episode, rewards: Floats) -> Episode:
        if self.settings.conserve and len(rewards):
            rewards = conserved(rewards, float(episode.rewards.sum()))
        return with_rewards(episode, rewards)

    def fit(self, groups: Sequence[Group], /) -> Mapping[str, float]:
        """Remember the episodes, and take steps of Adam."""
        episodes = [(group.task, episode) for group in groups for episode in played_episodes([group])]
        steps: list[Step] = [step for task, episode in episodes for step in steps_of_episode(task, episode)]
        rows = self.factors(steps) if steps else None
        if rows is not None:
            ends = np.cumsum([len(episode.turns) for _, episode in episodes])
            for (_, episode), part in zip(episodes, np.split(rows, ends[:-1]), strict=True):
                self._seen.append((part, float(episode.rewards.sum())))
        metrics: dict[str, float] = {}
        if isinstance(self.factors, CodeFactors):
            self.factors.forget()
            metrics |= {
                "steps_failed": float(self.factors.steps_failed),
                "batches_failed": float(self.factors.batches_failed),
            }
        if not self._seen:
            return metrics
        if self.decoder is None:
            self.decoder = self._new_decoder(self._seen[0][0].shape[1])
        own = self.settings
        loss = self.decoder.fit(
            list(self._seen),
            loss=own.loss,
            subset=own.subset,
            updates=own.updates,
            batch=own.batch,
            rng=self._rng,
        )
        return metrics | {"loss": loss, "episodes": float(len(self._seen))}

    def _new_decoder(self, factors: int) -> "Decoder":
        from trainers.shaping.decoder import Decoder  # loads torch

        own = self.settings
        return Decoder(factors, width=own.width, layers=own.layers, learning_rate=own.learning_rate, seed=own.seed)

    def state(self) -> ShaperState:
        """Return the decoder, the buffer and the generator."""
        arrays: dict[str, NDArray[Any]] = self.decoder.arrays() if self.decoder else {}
        if self._seen:
            arrays["seen"] = np.concatenate([rows for rows, _ in self._seen])
        arrays["lengths"] = np.array([len(rows) for rows, _ in self._seen], dtype=np.int64)
        arrays["returns"] = np.array([total for _, total in self._seen], dtype=np.float64)
        generator = json.dumps(self._rng.bit_generator.state)
        return ShaperState(arrays=arrays, values={"generator": generator, "decoder": self.decoder is not None})

    def load_state(self, state: ShaperState, /) -> None:
        """Go on from a checkpoint."""
        arrays = dict(state.arrays)
        lengths, returns = arrays.pop("lengths"), arrays.pop("returns").tolist()
        self._seen.clear()
        if "seen" in arrays:
            parts = np.split(arrays.pop("seen"), np.cumsum(lengths)[:-1])
            self._seen.extend(zip(parts, returns, strict=True))
        self._rng.bit_generator.state = json.loads(state.values["generator"])
        self.decoder = None
        if state.values["decoder"]:
            self.decoder = self._new_decoder(len(arrays["middle"]))
            self.decoder.load_arrays(arrays)
            if isinstance(self.factors, CodeFactors):
                self.factors.width = len(arrays["middle"])
