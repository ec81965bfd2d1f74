"""MA-RLHF: macro actions (Chai et al., ICLR 2025; arXiv 2410.02743). GAE over spans of tokens instead of tokens.

    V_τ   = Σ_j σ_j·V_j over the span's tokens                R_τ = Σ_j r_j, or Σ_j σ_j·r_j
    A_τ   = GAE over spans (γ, λ), shared by the span's tokens
    targets: every token's value is taught A_τ + V_τ

With σ equal (1/|τ|), unit (the last token's value) or by position (1/(j + 1), normalised). Fewer steps lie between an
action and its reward, so credit arrives sooner; within a span nothing is told apart. Spans of one token are `Gae`, bit
for bit; one span per answer is a bandit. A span never crosses the end of a turn: what follows is another decision.

Where spans end (`spans`):
    fixed        every n tokens
    random       after n tokens, n drawn anew for every span
    boundary     after a token out of a list: the ends of words, lines or sentences, or of a tool call
    perplexity   before a token that the reference model finds less likely than the one before it by more than a margin
    turn         with the turn only

The paper sums a span's rewards (from memory, unchecked). The release takes their σ-mean, which dilutes the terminal
reward, and so makes the last span one token long; `rewards = "mean"` and `last_alone` do the same. It also has an empty
span where the length is one more than a multiple of n, which enters the recursion as a step of its own; here spans
are never empty.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from trainers.credit.gae import generalised_advantages, values_after, whitened
from trainers.credit.numerics import Floats, check_choice, check_range
from trainers.credit.tokens import TokenAdvantages, TokenBatch, last_of

Spans = Literal["fixed", "random", "boundary", "perplexity", "turn"]
Weights = Literal["equal", "unit", "position"]
Rewards = Literal["sum", "mean"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MacroGae:
    """One advantage per span of tokens. The defaults are those of the paper's summarisation runs."""

    spans: Spans = "fixed"
    """Where spans end: fixed, random, boundary, perplexity or turn."""
    length: int = 5
    """Tokens of a fixed span."""
    lengths: tuple[int, ...] = (1, 2, 3, 5, 10)
    """Lengths that random spans are drawn from."""
    boundary_ids: tuple[int, ...] = ()
    """Tokens after which a span ends."""
    margin: float = 0.0
    """Nats by which a token must be less likely than the one before it to begin a span of its own."""
    last_alone: bool = False
    """Make the last token of an episode a span of its own, as the release does."""
    weights: Weights = "equal"
    """σ, what a span's value is made of."""
    rewards: Rewards = "sum"
    """A span's reward: the sum over its tokens, or the σ-mean (the release)."""
    gamma: float = 1.0
    """γ, discount per span."""
    lam: float = 0.95
    """λ per span."""
    whiten: bool = True
    """Bring the batch's advantages to mean 0 and variance 1, over tokens."""
    least_spread: float = 1e-3
    """Whitening gives zeros if their standard deviation is below this times the batch's largest reward, or times 1."""
    seed: int = 0
    """Of the random spans: the same batch is always cut in the same way."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        check_choice("spans", self.spans, get_args(Spans))
        check_choice("weights", self.weights, get_args(Weights))
        check_choice("rewards", self.rewards, get_args(Rewards))
        check_range("length", self.length, 1)
        if not self.lengths or min(self.lengths) < 1:
            raise ValueError(f"expected lengths of 1 or more, got {self.lengths}")
        if self.spans == "boundary" and not self.boundary_ids:
            raise ValueError("expected boundary_ids, the tokens that spans end with, got none")
        check_range("margin", self.margin, 0)
        check_range("gamma", self.gamma, 0, 1)
        check_range("lam", self.lam, 0, 1)
        check_range("least_spread", self.least_spread, 0)

    @property
    def needs_values(self) -> bool:
        """Whether a critic's values are asked for."""
        return True

    @property
    def needs_reference(self) -> bool:
        """Whether log-probabilities under a reference model are asked for."""
        return self.spans == "perplexity"

    def assign(self, batch: TokenBatch, /) -> TokenAdvantages:
        """Return an advantage and a target for every token."""
        values_n = batch.require_values()
        last = np.flatnonzero(self.span_ends(batch))
        first = np.append(0, last[:-1] + 1)[: len(last)]
        lengths = last - first + 1
        sigma_n = span_weights(lengths, self.weights)
        values_s = _sums(sigma_n * values_n, first)
        rewards_s = _sums(batch.rewards_n if self.rewards == "sum" else sigma_n * batch.rewards_n, first)
        advantages_s = generalised_advantages(
            rewards_s,
            values_s,
            last_of(batch.episode_n[last]),
            self.gamma,
            self.lam,
            values_after(batch, batch.episode_ends_n),
        )
        advantages_n = np.repeat(advantages_s, lengths)
        targets_n = np.repeat(advantages_s + values_s, lengths)
        if self.whiten:
            advantages_n = whitened(advantages_n, batch, self.least_spread)
        return TokenAdvantages(advantages_n=advantages_n, targets_n=targets_n)

    def span_ends(self, batch: TokenBatch) -> NDArray[np.bool_]:
        """True at the last token of each span, shape (N,).

        Raises:
            ValueError: If spans are cut by perplexity and the batch has no reference log-probabilities.
        """
        ends_n = batch.turn_ends_n
        match self.spans:
            case "fixed":
                ends_n = ends_n | (_place_in_turn(batch.turn_n) % self.length == self.length - 1)
            case "random":
                ends_n = ends_n | _random_ends(batch.turn_n, self.lengths, self.seed)
            case "boundary":
                ids = (i for g in batch.groups for e in g.episodes for t in e.turns for i in t.completion.token_ids)
                ends_n = ends_n | np.isin(np.fromiter(ids, np.int64, len(ends_n)), self.boundary_ids)
            case "perplexity":
                if batch.reference_logprobs_n is None:
                    raise ValueError("expected log-probabilities under a reference model to cut spans by, got none")
                ends_n = ends_n.copy()
                ends_n[:-1] |= np.diff(batch.reference_logprobs_n) < -self.margin
        if self.last_alone:
            ends_n = ends_n.copy()
            before_last = np.flatnonzero(batch.episode_ends_n) - 1
            before_last = before_last[before_last >= 0]
            ends_n[before_last] = True
        return ends_n


def span_weights(lengths: NDArray[np.intp], weights: Weights) -> Floats:
    """σ of every token of spans of these lengths that lie end to end; over each span it sums to 1."""
    total = int(lengths.sum())
    span_n = np.repeat(np.arange(len(lengths)), lengths)
    place_n = np.arange(total) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    match weights:
        case "equal":
            return np.asarray(1.0 / lengths[span_n], dtype=np.float64)
        case "unit":
            return np.asarray(place_n == lengths[span_n] - 1, dtype=np.float64)
        case _:
            by_place = 1.0 / (place_n + 1.0)
            return np.asarray(by_place / np.bincount(span_n, weights=by_place)[span_n], dtype=np.float64)


def _sums(values_n: Floats, first: NDArray[np.intp]) -> Floats:
    return np.asarray(np.add.reduceat(values_n, first) if len(first) else values_n, dtype=np.float64)


def _place_in_turn(turn_n: NDArray[np.intp]) -> NDArray[np.intp]:
    """How many tokens of its turn come before each token."""
    places = np.arange(len(turn_n))
    starts = np.append(True, turn_n[1:] != turn_n[:-1])[: len(turn_n)]
    return places - np.maximum.accumulate(np.where(starts, places, 0))


def _random_ends(turn_n: NDArray[np.intp], lengths: tuple[int, ...], seed: int) -> NDArray[np.bool_]:
    """Span ends by drawn lengths; each turn begins a span, whatever was left of the one before."""
    ends = np.zeros(len(turn_n), dtype=np.bool_)
    drawn = np.random.default_rng(seed).choice(lengths, size=len(turn_n)).tolist()
    spans = iter(drawn)
    left, turn = 0, -1
    for n, turn_of_n in enumerate(turn_n.tolist()):
        if left == 0 or turn_of_n != turn:
            left, turn = next(spans), turn_of_n
        left -= 1
        ends[n] = left == 0
    return ends
