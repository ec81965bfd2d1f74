"""A model's trained weights as plain arrays, which Ray keeps once per node and processes read without a copy."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Packed = dict[str, tuple[str, tuple[int, ...], NDArray[np.uint8]]]
"""By name: type, shape and bytes."""


def pack(model: nn.Module) -> Packed:
    """Return what training moves: all weights, or those of an adapter. On a CPU it is the weights' own memory."""
    packed: Packed = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            flat = parameter.detach().cpu().contiguous().reshape(-1)
            dtype = str(parameter.dtype).removeprefix("torch.")
            packed[name] = (dtype, tuple(parameter.shape), flat.view(torch.uint8).numpy())
    return packed


def unpack(packed: Packed, model: nn.Module) -> None:
    """Put weights into a model of the same kind.

    Raises:
        ValueError: If its trained weights have other names or shapes.
    """
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if trained.keys() != packed.keys():
        differing = sorted(trained.keys() ^ packed.keys())[:3]
        raise ValueError(f"expected weights for {len(trained)} tensors, got {len(packed)}; differing: {differing}")
    with torch.no_grad():
        for name, (dtype, shape, data) in packed.items():
            kind: Any = getattr(torch, dtype)
            if shape != tuple(trained[name].shape):
                raise ValueError(f"expected {name} of shape {tuple(trained[name].shape)}, got {shape}")
            trained[name].copy_(torch.tensor(data).view(kind).view(shape))
