"""Frozen earlier selves: the weights of some iterations before, for policies that learn to play against.

Against itself alone a policy learns what beats its last version, which need not beat the one before: pairs of
strategies go in circles. One that must do well against many earlier versions at once learns what beats their mixture,
as in fictitious play (Brown, 1951; with learners in the place of exact best answers: Heinrich and Silver, 2016, arXiv
1603.01121).

Only trained weights are kept, on the CPU: of an adapter, the adapter. To play, they are put into one copy of the
policy, which can be one earlier self at a time.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agent_gym.errors import BadOptionError
from trainers.checkpoint import State
from trainers.players import SelfPlay
from trainers.policies.base import Policy

_TENSORS = "earlier/"


class EarlierSelves:
    """The weights that are kept, and the copies of the policies that play with them.

    Args:
        settings: How many, how often, and which is drawn.
        policies: Those that learn, by name.

    Raises:
        BadOptionError: If a policy can't be copied.
    """

    def __init__(self, settings: SelfPlay, policies: Mapping[str, Any]) -> None:
        self.settings = settings
        self._policies = dict(policies)
        for policy in policies.values():
            if not hasattr(policy, "twin"):
                raise BadOptionError(
                    f"self_play needs a policy that can be copied, got {type(policy).__name__}: sample with "
                    "transformers (sampler.engine), or leave self_play out."
                )
        self._twins: dict[str, Any] = {}
        self.kept: dict[int, dict[str, dict[str, Tensor]]] = {}
        """Trained weights by iteration, policy and name, the oldest first."""

    def keep(self, iteration: int) -> None:
        """Take in the weights in hand before an iteration, if it is one to keep; the oldest then make room."""
        if iteration % self.settings.every or iteration in self.kept:
            return
        self.kept[iteration] = {
            learner: {name: weight.detach().to("cpu", copy=True) for name, weight in _trained(policy.model)}
            for learner, policy in self._policies.items()
        }
        for old in sorted(self.kept)[: -self.settings.keep]:
            del self.kept[old]

    def draw(self, iteration: int, rng: np.random.Generator) -> int | None:
        """Draw who plays against the weights in hand in one game: an earlier iteration, or none for themselves."""
        earlier = [one for one in sorted(self.kept) if one < iteration]
        if not rng.random() < self.settings.share or not earlier:
            return None
        return earlier[-1] if self.settings.rule == "latest" else earlier[int(rng.integers(len(earlier)))]

    def call(self, iteration: int) -> dict[str, Policy]:
        """Return policies with the weights of an earlier iteration, until the next call."""
        if not self._twins:
            self._twins = {learner: policy.twin() for learner, policy in self._policies.items()}
        for learner, twin in self._twins.items():
            weights = dict(_trained(twin.model))
            with torch.no_grad():
                for name, tensor in self.kept[iteration][learner].items():
                    weights[name].copy_(tensor)
            twin.sync()
        return dict(self._twins)

    @property
    def checkpoint_bytes(self) -> int:
        """What all of them take of a checkpoint at most."""
        sizes = (
            weight.numel() * weight.element_size()
            for policy in self._policies.values()
            for _, weight in _trained(policy.model)
        )
        return self.settings.keep * sum(sizes)

    def state(self) -> State:
        """What a checkpoint keeps."""
        return State(
            tensors={
                f"{_TENSORS}{iteration}/{learner}/{name}": tensor
                for iteration, policies in self.kept.items()
                for learner, weights in policies.items()
                for name, tensor in weights.items()
            }
        )

    def load_state(self, state: State) -> None:
        """Go on from a checkpoint; tensors that are not of this class are left alone."""
        self.kept = {}
        for name, tensor in state.tensors.items():
            if name.startswith(_TENSORS):
                iteration, learner, weight = name.removeprefix(_TENSORS).split("/", 2)
                self.kept.setdefault(int(iteration), {}).setdefault(learner, {})[weight] = tensor


def _trained(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """The weights that are trained; of a twin, those that would be."""
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
