"""Weights in pieces: each rank holds its part of every weight that is learnt, of its gradient and of its averages.

For a model that does not fit on one device with all that learning needs: 12 to 20 bytes per weight, of which 2 or 4
are for sampling. Only these stay whole on every rank. Ranks sample different numbers of tokens, and with a sampler in
pieces they would have to wait for each other at every layer of every token; so after each update the sampler is given
the new weights.

The method is ZeRO-3 (Rajbhandari et al., 2020, arXiv 1910.02054) as torch's `fully_shard` has it ("FSDP2"). It is
called directly: accelerate 1.15, which wraps it, takes a CPU for data-parallel only, so nothing of it could be tested
without GPUs, and what it would add is where to cut a model. A pass needs all ranks, so each must make the same number
of them.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

# What `fully_shard` comes with takes a second to load, and most runs are without it: hence the imports within
# functions, and pieces (DTensor) are told by what they can do.


def shard(model: nn.Module, *, halved: bool = False) -> nn.Module:
    """Cut a model of transformers or peft into one piece per rank, in place; returns it.

    Gradients are then summed over ranks in the backward pass, in float32 and not averaged. A layer's weights are whole
    only while it is computed.

    Args:
        model: The model.
        halved: Whether float32 weights come together in bfloat16. The pieces stay float32.

    Raises:
        ValueError: If torch is too old for it.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

    if not hasattr(FSDPModule, "set_force_sum_reduction_for_comms"):
        raise ValueError(f"expected a newer torch for learner.sharding, got {torch.__version__}: 2.9 will do")
    mesh = init_device_mesh(next(model.parameters()).device.type, (dist.get_world_size(),))
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16 if halved else None, reduce_dtype=torch.float32)
    layers = _layer_names(model)
    for module in [module for module in model.modules() if type(module).__name__ in layers]:
        fully_shard(module, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)
    for module in _pieces(model):
        module.set_gradient_divide_factor(1.0)
        module.set_force_sum_reduction_for_comms(True)  # gloo has no other
    return model


def settle(model: nn.Module) -> None:
    """Give back what a pass without a backward pass has left whole, before weights change."""
    for module in _pieces(model):
        module.reshard()


@contextmanager
def adapter_off(model: Any) -> Iterator[None]:
    """Let a peft model answer as its base does; what is trained stays marked as such.

    peft marks it as frozen meanwhile. A model in pieces settles at its first pass in which type gradients come, and
    would do so for weights that have none.
    """
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    with model.disable_adapter():
        for weight in trained:
            weight.requires_grad_(True)
        yield


def is_piece(tensor: Tensor) -> bool:
    """Whether other ranks have parts of it."""
    return hasattr(tensor, "full_tensor")


def whole(tensor: Tensor) -> Tensor:
    """The tensor in one piece; all ranks must ask for it."""
    full: Tensor = tensor.full_tensor() if is_piece(tensor) else tensor  # type: ignore[attr-defined]
    return full


def piece_of(tensor: Tensor, like: Any) -> Tensor:
    """A copy of a tensor that every rank has, of the type of `like`, cut as that is and where it is."""
    own = tensor.to(device=like.device, dtype=like.dtype, copy=True)
    if not is_piece(like):
        return own
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(own, like.device_mesh, like.placements, src_data_rank=None)


@torch.no_grad()
def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Copy the trained weights between a model in pieces and the same model in one; all ranks must do it."""
    weights = dict(target.named_parameters())
    for name, weight in source.named_parameters():
        if weight.requires_grad:
            weights[name].copy_(piece_of(whole(weight), weights[name]))


def _pieces(model: nn.Module) -> Iterable[Any]:
    return (module for module in model.modules() if hasattr(module, "set_gradient_divide_factor"))


def _layer_names(model: nn.Module) -> set[str]:
    """Names of the classes that must stay together: a model's layers, as transformers has them for this purpose."""
    found: set[str] = set()
    for module in model.modules():
        found.update(getattr(module, "_no_split_modules", None) or ())
    return found
