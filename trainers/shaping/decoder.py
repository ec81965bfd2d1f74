"""A small network whose outputs over an episode add up to the episode's return. This file needs torch.

The losses of return decomposition, for outputs r̂ of an episode of T steps with return R and a subset of K steps drawn
without replacement (Ren et al., ICLR 2022; used by LaRe, arXiv 2412.11120):

    RD      ((Σ_t r̂_t − R) / T)²
    RRD     (mean_K r̂ − R/T)²
    RRD-u   RRD − (1 − K/T) · var_K(r̂) / K          sample variance (ddof 1), K ≥ 2

RRD looks at K steps instead of T, which saves work in long episodes; its expectation is RD plus the variance of the
mean of the subset, which pulls the outputs towards each other. RRD-u takes an unbiased estimate of that variance off,
so that its expectation is RD; single values of it may be negative.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Floats = NDArray[np.float64]
Decomposition = Literal["rd", "rrd", "rrd-u"]


def decomposition_loss(
    outputs: Tensor, owners: Tensor, returns: Tensor, lengths: Tensor, loss: Decomposition
) -> Tensor:
    """Loss of each episode, shape (episodes,).

    Args:
        outputs: r̂ of the steps that were looked at, of all episodes one after the other: shape (steps,).
        owners: Number of the episode that each step belongs to, shape (steps,).
        returns: R, shape (episodes,).
        lengths: T, shape (episodes,); for `rd` all steps must be among the outputs.
        loss: Which one.
    """
    zeros = torch.zeros_like(returns)
    count = zeros.index_add(0, owners, torch.ones_like(outputs))
    total = zeros.index_add(0, owners, outputs)
    if loss == "rd":
        return ((total - returns) / lengths) ** 2
    mean = total / count
    biased = (mean - returns / lengths) ** 2
    if loss == "rrd":
        return biased
    squares = zeros.index_add(0, owners, (outputs - mean[owners]) ** 2)
    variance = squares / (count - 1).clamp(min=1)
    return biased - (1 - count / lengths) * variance / count


class Decoder:
    """An MLP from the factors of a step to its reward, and Adam.

    Args:
        factors: Numbers that a step is described by.
        width: Of the hidden layers.
        layers: Hidden layers.
        learning_rate: Of Adam.
        seed: Of the initial weights.
    """

    def __init__(self, factors: int, *, width: int, layers: int, learning_rate: float, seed: int) -> None:
        sizes = [factors, *[width] * layers]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            hidden = [part for one, two in pairwise(sizes) for part in (nn.Linear(one, two), nn.ReLU())]
            self.network = nn.Sequential(*hidden, nn.Linear(sizes[-1], 1))
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=learning_rate)
        self.middle, self.spread = torch.zeros(factors), torch.ones(factors)

    def predict(self, factors: Floats) -> Floats:
        """r̂ of steps with these factors: shape (steps, factors) to shape (steps,)."""
        with torch.no_grad():
            return np.asarray(self._outputs(torch.as_tensor(factors, dtype=torch.float32)).double().numpy())

    def fit(
        self,
        episodes: Sequence[tuple[Floats, float]],
        *,
        loss: Decomposition,
        subset: int,
        updates: int,
        batch: int,
        rng: np.random.Generator,
    ) -> float:
        """Take steps of Adam, and return the mean loss of the last one.

        Args:
            episodes: Factors of the steps, shape (turns, factors), and return of each episode.
            loss: What is minimised.
            subset: K, steps of an episode that `rrd` and `rrd-u` look at; all if there are fewer.
            updates: Steps.
            batch: Episodes per step, drawn with replacement if there are fewer.
            rng: Draws episodes and steps.
        """
        everything = torch.as_tensor(np.concatenate([factors for factors, _ in episodes]), dtype=torch.float32)
        self.middle, spread = everything.mean(0), everything.std(0, correction=0)
        # What never varied is not blown up when it does one day.
        self.spread = torch.where(spread > 1e-6, spread, torch.ones_like(spread))
        result = 0.0
        for _ in range(updates):
            chosen = rng.choice(len(episodes), size=batch, replace=len(episodes) < batch)
            steps: list[Floats] = []
            for one in chosen:
                factors = episodes[one][0]
                if loss != "rd" and subset < len(factors):
                    factors = factors[rng.choice(len(factors), size=subset, replace=False)]
                steps.append(factors)
            owners = torch.as_tensor(np.repeat(np.arange(batch), [len(factors) for factors in steps]))
            returns = torch.tensor([episodes[one][1] for one in chosen], dtype=torch.float32)
            lengths = torch.tensor([len(episodes[one][0]) for one in chosen], dtype=torch.float32)
            outputs = self._outputs(torch.as_tensor(np.concatenate(steps), dtype=torch.float32))
            mean = decomposition_loss(outputs, owners, returns, lengths, loss).mean()
            self.optimiser.zero_grad()
            mean.backward()  # type: ignore[no-untyped-call]  # torch's own
            self.optimiser.step()
            result = float(mean.detach())
        return result

    def _outputs(self, factors: Tensor) -> Tensor:
        result: Tensor = self.network((factors - self.middle) / self.spread).squeeze(-1)
        return result

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Everything that it has learnt, Adam's averages included, by name."""
        tensors = {"middle": self.middle, "spread": self.spread}
        tensors |= {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        for number, averages in self.optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{number}.{name}": tensor for name, tensor in averages.items()}
        return {name: tensor.detach().numpy().copy() for name, tensor in tensors.items()}

    def load_arrays(self, arrays: dict[str, NDArray[np.float32]]) -> None:
        """Take over what `arrays` gave."""
        tensors = {name: torch.tensor(array) for name, array in arrays.items()}
        self.middle, self.spread = tensors["middle"], tensors["spread"]
        self.network.load_state_dict(
            {name.removeprefix("network."): one for name, one in tensors.items() if name.startswith("network.")}
        )
        state = self.optimiser.state_dict()
        averages: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("adam."):
                _, number, what = name.split(".")
                averages.setdefault(int(number), {})[what] = tensor
        self.optimiser.load_state_dict({**state, "state": averages})
