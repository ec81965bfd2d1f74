"""Settings of a critic, apart from its code so that a command line can read them without torch."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from trainers.credit.numerics import check_choice, check_range

Trunk = Literal["shared", "own"]


@dataclass(frozen=True, kw_only=True)
class CriticSettings:
    """A learnt estimate of what is still to come. There is one only where the credit estimator asks for values."""

    trunk: Trunk = "shared"
    """What the head reads. shared: the policy's hidden states, which it does not change. own: a copy of the model that
    learns with it, twice the memory; of a model with an adapter only the adapter is copied."""
    learning_rate: float = 0.1
    """Of the head or of a table of values, by Adam: about how far a value moves in a step, in units of the scaled
    return, for a model of any width."""
    trunk_learning_rate: float = 1e-5
    """Of an own trunk."""
    value_clip: float | None = 0.5
    """Most that a value may move in an update before it earns nothing by moving on, in units of the scaled return; none
    for no limit."""
    epochs: int = 4
    """Passes over the batch per update."""
    minibatches: int = 1
    """Optimiser steps per pass."""
    warmup_iterations: int = 0
    """First iterations in which only the critic learns; the policy plays as it is."""
    max_grad_norm: float = 1.0
    """Gradients of a larger norm are scaled down to it."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        check_choice("trunk", self.trunk, get_args(Trunk))
        check_range("warmup_iterations", self.warmup_iterations, 0)
        for name in ("epochs", "minibatches"):
            check_range(name, getattr(self, name), 1)
        for name in ("learning_rate", "trunk_learning_rate", "max_grad_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"expected a {name} above 0, got {getattr(self, name)}")
        for name in ("learning_rate", "trunk_learning_rate"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"expected a finite {name}, got {getattr(self, name)}")
        if self.value_clip is not None and not self.value_clip > 0:
            raise ValueError(f"expected a value_clip above 0, got {self.value_clip}: none turns it off")
