"""AdamW, Muon or SGD over a model's trained weights, by name, with float32 masters for weights of a shorter type."""

from collections.abc import Collection, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from trainers.muon import Muon
from trainers.parallel import Ranks
from trainers.pieces import Pieces
from trainers.settings import LearnerSettings
from trainers.sharding import is_piece, piece_of, whole

_ADAMW = ("step", "exp_avg", "exp_avg_sq")
_MUON = ("momentum_buffer",)
_SGD: tuple[str, ...] = ()


class Optimiser:
    """Collects gradients over micro-batches and moves the weights.

    A weight in bfloat16 has eight bits: a step smaller than a two-hundredth of it would be lost to rounding, and so
    would small gradients that are added to a large sum. Such weights get a master in float32, in which gradients add up
    and which the optimiser moves; the model's weight is the master rounded.

    Muon (Jordan et al., 2024) moves a matrix by its momentum made orthogonal, so that all its directions are learnt
    alike; it is for the matrices inside the layers. Embeddings, the output layer and vectors are moved by AdamW beside
    it. Muon's steps are scaled to the size of AdamW's (Liu et al., 2025, arXiv 2502.16982); one rate fits both.

    Args:
        weights: The model's trained weights by name, as they are to start from.
        settings: Of the optimiser.
        embeddings: Names of the matrices that turn words into vectors or back.

    Raises:
        ValueError: If there are no weights.
    """

    def __init__(
        self, weights: Mapping[str, nn.Parameter], settings: LearnerSettings, embeddings: Collection[str] = ()
    ) -> None:
        if not weights:
            raise ValueError("expected a model with weights to train, got one in which all are frozen")
        self._max_grad_norm = settings.max_grad_norm
        self._weights = dict(weights)
        self._short = {name for name, weight in weights.items() if weight.dtype != torch.float32}
        self._masters = {
            name: nn.Parameter(weight.detach().float()) if name in self._short else weight
            for name, weight in weights.items()
        }
        inner = {
            name: weight
            for name, weight in self._masters.items()
            if settings.optimiser == "muon" and weight.ndim == 2 and name not in embeddings
        }
        outer = {name: weight for name, weight in self._masters.items() if name not in inner}
        rate, decay = settings.learning_rate, settings.weight_decay
        self._parts: list[torch.optim.Optimizer] = []
        if inner:
            self._parts.append(Muon(inner.values(), lr=rate, weight_decay=decay))
        if outer and settings.optimiser == "sgd":
            self._parts.append(torch.optim.SGD(outer.values(), lr=rate, weight_decay=decay))
        elif outer:
            self._parts.append(torch.optim.AdamW(outer.values(), lr=rate, betas=settings.betas, weight_decay=decay))
        averages = _SGD if settings.optimiser == "sgd" else _ADAMW
        self._averages = {name: _MUON if name in inner else averages for name in self._masters}
        self._part_of = {id(weight): part for part in self._parts for weight in part.param_groups[0]["params"]}

    def clear(self) -> None:
        """Forget all gradients."""
        for part in self._parts:
            part.zero_grad(set_to_none=True)
        for weight in self._weights.values():
            weight.grad = None

    def collect(self) -> None:
        """Take over the gradients of a backward pass; call after each."""
        for name in self._short:
            weight, master = self._weights[name], self._masters[name]
            if weight.grad is not None:
                fresh = weight.grad.float()
                master.grad = fresh if master.grad is None else master.grad.add_(fresh)
                weight.grad = None

    def step(self, rate: float, ranks: Ranks) -> float:
        """Add up the gradients of all ranks, clip them and move the weights; returns the norm before clipping.

        Raises:
            FloatingPointError: If the norm is not finite. The weights are as before then.
        """
        masters = list(self._masters.values())
        for master in masters:
            if master.grad is None:  # no micro-batch on this rank, or a weight that nothing used
                master.grad = torch.zeros_like(master)
        ranks.sum_gradients(master for master in masters if not is_piece(master))  # pieces have been summed
        norm = float(whole(nn.utils.clip_grad_norm_(masters, self._max_grad_norm)))
        if not np.isfinite(norm):
            self.clear()
            raise FloatingPointError(
                f"expected a finite gradient, got one of norm {norm}; the weights are as before it: look for infinite "
                "advantages, or lower the learning rate"
            )
        for part in self._parts:
            part.param_groups[0]["lr"] = rate
            part.step()
        self._round()
        return norm

    def state(self) -> dict[str, Tensor]:
        """The running averages and the masters, by the weights' names; in pieces where the weights are."""
        held = {
            f"optimiser.{name}.{key}": value
            for name, master in self._masters.items()
            for key, value in self._part_of[id(master)].state.get(master, {}).items()
        }
        return held | {f"master.{name}": self._masters[name].detach() for name in self._short}

    def load_state(self, tensors: Mapping[str, Tensor], pieces: Pieces | None = None) -> None:
        """Continue from `state`; what has other names in `tensors` is not for this.

        Args:
            tensors: Whole, whatever is in pieces here.
            pieces: What was written in pieces, whatever is so here. Then all ranks must call it.

        Raises:
            ValueError: If it is the state of another model.
        """
        known = {*tensors, *(pieces.sizes if pieces else ())}
        averages = {name for name in known if name.startswith("optimiser.")}
        like = {
            f"optimiser.{name}.{key}": self._masters[name]
            for name, keys in self._averages.items()
            for key in keys
            if averages
        }
        like |= {f"master.{name}": self._masters[name] for name in self._short}
        odd = sorted(like.keys() ^ (averages | {name for name in known if name.startswith("master.")}))
        if odd:
            raise ValueError(
                f"expected the optimiser's state for this model, got one that differs in {', '.join(odd[:3])}: resume "
                "with the model and the types that the run had"
            )
        found = {name: torch.empty_like(master) for name, master in like.items() if name not in tensors}
        if pieces:
            pieces.read_into(found)
        for name in like.keys() & tensors.keys():
            # The count stays where AdamW wants it, on the CPU.
            is_count = name.endswith(".step")
            found[name] = tensors[name].clone() if is_count else piece_of(tensors[name], like[name])
        for name, master in self._masters.items():
            if averages:
                own = {key: found[f"optimiser.{name}.{key}"] for key in self._averages[name]}
                self._part_of[id(master)].state[master] = own
        with torch.no_grad():
            for name in self._short:
                self._masters[name].copy_(found[f"master.{name}"])
        self._round()

    @torch.no_grad()
    def _round(self) -> None:
        for name in self._short:
            self._weights[name].copy_(self._masters[name])
