"""Liger's fused kernels in a model's layers (Hsu et al., 2024; arXiv 2410.10989).

They do in one pass over memory what PyTorch does in several: rotary positions, normalisation, and the product in an
MLP. Its cross-entropy is not for this learner, which asks for log-probabilities of chosen tokens at a temperature, and
their entropy: `learner.logit_chunk` bounds the memory of these.
"""

import importlib
from typing import Any

import torch

from agent_gym.errors import BadOptionError, MissingExtraError


def require_liger(device: torch.device) -> Any:
    """Return Liger's module that patches models, if it would run on a device.

    Raises:
        BadOptionError: If the device is not a GPU.
        MissingExtraError: If it is not installed.
    """
    if device.type != "cuda":
        raise BadOptionError(
            f'learner.kernels = "liger" needs a GPU, since its kernels are written in Triton; the model is on '
            f'{device.type}: leave the setting out, or set "torch".'
        )
    try:
        return importlib.import_module("liger_kernel.transformers.monkey_patch")
    except ImportError as error:
        raise MissingExtraError(
            f"learner.kernels = \"liger\" needs Liger: pip install 'agent-gym[liger]' ({error})."
        ) from error


def fuse(model: Any) -> None:
    """Put Liger's kernels into a model of transformers, or one under an adapter; in place.

    Rotary positions are patched for all models of the type that this process has.

    Raises:
        BadOptionError: If the device is not a GPU, or Liger has nothing for this type of model.
        MissingExtraError: If it is not installed.
    """
    liger = require_liger(next(model.parameters()).device)
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    kind = plain.config.model_type
    known = liger.MODEL_TYPE_TO_APPLY_LIGER_FN
    if kind not in known:
        raise BadOptionError(
            f'learner.kernels = "liger" needs a model that Liger knows, such as {", ".join(sorted(known)[:5])}, got '
            f"{kind}: leave the setting out."
        )
    liger._apply_liger_kernel_to_instance(model=plain, cross_entropy=False, fused_linear_cross_entropy=False)
