"""The reference: what a policy's divergence is taken to."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from trainers.pieces import Pieces
from trainers.sharding import adapter_off, copy_weights, piece_of, shard

_PREFIX = "reference."
"""How the names of its tensors begin in a checkpoint."""


class Reference:
    """Weights that do not learn: those under an adapter, or a copy of their own, which can be renewed.

    Args:
        model: What learns, as it is given to the learner.
        learning: The same model, or the one in pieces that learns in its place.
        given: What to refer to instead of a copy of `model`.
        pieces: Whether the copy is to be in pieces; then halved or not.
        halved: Whether passes are computed in bfloat16.
    """

    def __init__(
        self, model: nn.Module, learning: nn.Module, given: nn.Module | None, *, pieces: bool, halved: bool
    ) -> None:
        self.is_base = given is None and hasattr(learning, "disable_adapter")
        self._moved = False
        if self.is_base:
            self.model = learning
            return
        if given is None or pieces:
            given = copy.deepcopy(model if given is None else given)
        self.model = given.eval().requires_grad_(False)
        if pieces:
            shard(self.model, halved=halved)

    @contextmanager
    def in_force(self) -> Iterator[nn.Module]:
        """The model that is it in here."""
        if self.is_base:
            with adapter_off(self.model):
                yield self.model
        else:
            yield self.model

    def renew(self, model: nn.Module) -> None:
        """Take over the weights of another, into weights of its own; all ranks must."""
        copy_weights(model, self.model)
        self._moved = True

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps: nothing as long as the reference is what the run started from."""
        return {_PREFIX + name: weight.data for name, weight in self._weights()} if self._moved else {}

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor], pieces: Pieces | None) -> None:
        """Go on from `state`; what has other names is not for this. All ranks must call it.

        Args:
            tensors: Whole, whatever is in pieces here.
            pieces: What was written in pieces, whatever is so here.

        Raises:
            ValueError: If it is the state of another model.
        """
        known = {name for name in {*tensors, *(pieces.sizes if pieces else ())} if name.startswith(_PREFIX)}
        if not known:
            return
        held = {_PREFIX + name: weight for name, weight in self._weights()}
        odd = sorted(known ^ held.keys())
        if self.is_base or odd:
            raise ValueError(
                f"expected the reference of this model, got one that differs in {', '.join(odd[:3])}: resume with the "
                "model that the run had"
            )
        found = {name: torch.empty_like(weight) for name, weight in held.items() if name not in tensors}
        if pieces:
            pieces.read_into(found)
        for name, weight in held.items():
            weight.copy_(piece_of(tensors[name], weight) if name in tensors else found[name])
        self._moved = True

    def _weights(self) -> Iterator[tuple[str, nn.Parameter]]:
        return self.model.named_parameters()
