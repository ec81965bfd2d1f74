"""Log-probabilities of sampled tokens under a model: what sampling, learning and the reference have in common."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trainers.samples import Sample, saved_by_sharing
from trainers.settings import Precision

_PASS_COSTS: Final = {"cpu": 512, "cuda": 4096}
"""About as many tokens as take the time that another pass takes whatever is in it, by kind of device."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Samples as tensors of shape (B, T), padded on the right. Action tokens of all rows, in row order, are N."""

    ids_bt: Tensor
    action_mask_bt: Tensor
    old_logprobs_n: Tensor
    advantages_n: Tensor
    row_n: Tensor
    """Row of each action token."""
    tokens: int
    """Tokens that are not padding."""
    shared: int = 0
    """Tokens that all rows begin with and that are computed once for all of them."""

    @property
    def actions_per_row_b(self) -> Tensor:
        """Action tokens of each row, float."""
        return self.action_mask_bt.sum(dim=1).float()


def make_batch(
    samples: Sequence[Sample], device: torch.device | str = "cpu", *, least_saved: float = math.inf
) -> Batch:
    """Pad samples to the longest, with id 0; it stands behind all that is learnt from, so nothing attends to it.

    Args:
        samples: One row each.
        device: Where the tensors go.
        least_saved: What all rows begin with is computed once if that saves as many tokens; see `least_saved`.
    """
    longest = max(len(sample) for sample in samples)
    ids_bt = torch.zeros(len(samples), longest, dtype=torch.long)
    mask_bt = torch.zeros(len(samples), longest, dtype=torch.bool)
    for row, sample in enumerate(samples):
        ids_bt[row, : len(sample)] = torch.from_numpy(sample.ids)
        mask_bt[row, : len(sample)] = torch.from_numpy(sample.action_mask)
    shared = 0 if least_saved == math.inf else _common_beginning(samples)
    return Batch(
        ids_bt=ids_bt.to(device),
        action_mask_bt=mask_bt.to(device),
        old_logprobs_n=torch.cat([torch.from_numpy(s.old_logprobs[s.action_mask]) for s in samples]).to(device),
        advantages_n=torch.cat([torch.from_numpy(s.advantages[s.action_mask]) for s in samples]).to(device),
        row_n=mask_bt.nonzero()[:, 0].to(device),
        tokens=sum(len(sample) for sample in samples),
        shared=shared if saved_by_sharing(len(samples), shared, longest) >= least_saved else 0,
    )


def _common_beginning(samples: Sequence[Sample]) -> int:
    """Tokens that all samples begin with; at least one before the first action stays, as its logits are needed."""
    most = min(sample.prompt_tokens for sample in samples) - 1
    prompts = np.stack([sample.ids[:most] for sample in samples])
    same = (prompts == prompts[0]).all(axis=0)
    return most if same.all() else int(same.argmin())


def least_saved(model: Any) -> float:
    """Tokens that must be saved for a beginning to be computed once for all rows; infinite for a model that can't.

    It can if all layers attend to all that stands before. A window or a running state holds less than that.
    """
    if not hasattr(model, "config"):  # a table, which has nothing to attend to
        return math.inf
    config = model.config.get_text_config()
    kinds = getattr(config, "layer_types", None)
    windowed = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    whole = set(kinds) == {"full_attention"} if kinds else not windowed
    if not whole or config.is_encoder_decoder or getattr(model, "_is_stateful", False):
        return math.inf
    kind = next(model.parameters()).device.type
    return _PASS_COSTS.get(kind, _PASS_COSTS["cuda"])


def action_logprobs(
    model: nn.Module,
    batch: Batch,
    temperature: float = 1.0,
    *,
    entropy_gradient: bool = False,
    logit_chunk: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Log-probability and entropy (nats, float32, shape (N,)) of the distribution each action token was drawn from.

        logprob_t = log softmax(z_{t−1} / temperature)[id_t]        z_{t−1} the logits after ids[:t]

    Only the logits in front of action tokens are computed: prompts are most of a batch, a vocabulary is large, and the
    rest would be most of the memory. The model's output layer is handed the hidden states of those positions only, so
    whatever a model does to its logits afterwards (scaling, capping) stays in place.

    What all rows begin with (`batch.shared`) goes through the model once; the rows then attend to its keys and values,
    and their gradients add up in them. It is the same sum in another order.

    Args:
        model: A causal language model of transformers, or a peft model around one.
        batch: Tokens, on the model's device.
        temperature: Of sampling, above 0.
        entropy_gradient: Let the entropy be differentiated; it costs memory, and for a metric it is not needed.
        logit_chunk: Compute the logits of so many action tokens at a time, and again in the backward pass, so that
            those of all are never there together. The numbers are the same.

    Raises:
        ValueError: If the temperature is not above 0, the model's output layer cannot be told from the rest, or the
            model changes its logits after that layer and there is to be a chunk.
    """
    if not temperature > 0:
        raise ValueError(f"expected a temperature above 0, got {temperature}: greedy answers have no log-probabilities")
    before_action_bt = before_actions(batch)[:, batch.shared :]
    chosen_n = batch.ids_bt[batch.action_mask_bt]
    if logit_chunk is not None and logit_chunk < len(chosen_n):
        return _in_chunks(model, batch, before_action_bt, chosen_n, temperature, entropy_gradient, logit_chunk)
    logits_nv = _run(model, batch, lambda hidden_bth: hidden_bth[before_action_bt].unsqueeze(0))
    assert logits_nv.shape[:2] == (1, len(batch.row_n)), logits_nv.shape
    return _of_chosen(logits_nv[0], chosen_n, temperature, entropy_gradient)


def _of_chosen(
    logits_nv: Tensor, chosen_n: Tensor, temperature: float, entropy_gradient: bool
) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the chosen tokens, and entropies."""
    logprobs_nv = torch.log_softmax(logits_nv.float() / temperature, dim=-1)
    logprobs_n = logprobs_nv.gather(1, chosen_n[:, None])[:, 0]
    with nullcontext() if entropy_gradient else torch.no_grad():
        entropy_n = -(logprobs_nv.exp() * logprobs_nv).sum(dim=-1)
    return logprobs_n, entropy_n


def _in_chunks(
    model: nn.Module,
    batch: Batch,
    before_action_bt: Tensor,
    chosen_n: Tensor,
    temperature: float,
    entropy_gradient: bool,
    size: int,
) -> tuple[Tensor, Tensor]:
    """The same, with the output layer at work on `size` positions at a time, in place of its own call."""
    _require_plain_logits(model)
    head: Any = model.get_output_embeddings()  # type: ignore[operator]  # `_run` says so if there is none
    parts: list[tuple[Tensor, Tensor]] = []

    def one(hidden_nh: Tensor, ids_n: Tensor) -> tuple[Tensor, Tensor]:
        # Not by a call, which would run the hook that we are in.
        return _of_chosen(head.forward(hidden_nh), ids_n, temperature, entropy_gradient)

    def all_of_them(hidden_bth: Tensor) -> Tensor:
        hidden_nh = hidden_bth[before_action_bt]
        for hidden, ids_n in zip(torch.split(hidden_nh, size), torch.split(chosen_n, size), strict=True):
            made: Any = (
                checkpoint(one, hidden, ids_n, use_reentrant=False) if torch.is_grad_enabled() else one(hidden, ids_n)
            )
            parts.append(made)
        return hidden_bth[:1, :1]

    # In pieces, weights come together for the backward pass when the model's own output is reached.
    anchor = 0.0 * _run(model, batch, all_of_them).float().sum()
    logprobs_n, entropy_n = (torch.cat(column) for column in zip(*parts, strict=True))
    return logprobs_n + anchor, entropy_n


def _require_plain_logits(model: Any) -> None:
    config = model.config.get_text_config()
    for name in ("final_logit_softcapping", "logit_scale", "logits_scaling"):
        value = getattr(config, name, None)
        if value not in (None, 1, 1.0):
            raise ValueError(
                f"expected a model whose output layer makes the logits, for learner.logit_chunk, got {name} = {value}: "
                "leave the setting out"
            )


def before_actions(batch: Batch) -> Tensor:
    """True at the positions whose logits action tokens are drawn from, shape (B, T)."""
    before_action_bt = torch.zeros_like(batch.action_mask_bt)
    before_action_bt[:, :-1] = batch.action_mask_bt[:, 1:]
    return before_action_bt


def action_hidden(model: nn.Module, batch: Batch) -> Tensor:
    """Last hidden states in front of the action tokens, which the output layer makes their logits from: shape (N, H).

    Raises:
        ValueError: If the model's output layer cannot be told from the rest.
    """
    before_action_bt = before_actions(batch)[:, batch.shared :]
    taken: list[Tensor] = []

    def take(hidden_bth: Tensor) -> Tensor:
        taken.append(hidden_bth[before_action_bt])
        return hidden_bth[:1, :1]  # nobody looks at the logits

    _run(model, batch, take)
    return taken[0]


def _run(model: nn.Module, batch: Batch, before_head: Callable[[Tensor], Tensor]) -> Tensor:
    """Logits of a pass over what the rows do not share, from what `before_head` makes of the hidden states."""
    get_head = getattr(model, "get_output_embeddings", None)
    head = get_head() if get_head is not None else None
    if head is None:
        raise ValueError(f"expected a language model with an output layer, got {type(model).__name__}")

    def narrow(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        (hidden_bth,) = inputs
        return (before_head(hidden_bth),)

    # No attention mask: padding comes last and attention is causal, so it changes nothing, and kernels for plain causal
    # attention are faster.
    given = _read_once(model, batch) if batch.shared else {"use_cache": False}
    hook = head.register_forward_pre_hook(narrow)
    try:
        logits: Tensor = model(input_ids=batch.ids_bt[:, batch.shared :], **given).logits
    finally:
        hook.remove()
    return logits


def _read_once(model: nn.Module, batch: Batch) -> dict[str, Any]:
    """Put what the rows share through the model; returns what a pass over the rest is called with."""
    from transformers import DynamicCache  # whoever has such a model has loaded it

    rows, longest = batch.ids_bt.shape
    cache = DynamicCache()
    model(input_ids=batch.ids_bt[:1, : batch.shared], past_key_values=cache, use_cache=True, logits_to_keep=1)
    cache.batch_repeat_interleave(rows)
    positions_1t = torch.arange(batch.shared, longest, device=batch.ids_bt.device)[None]
    return {"past_key_values": cache, "use_cache": True, "position_ids": positions_1t}


def is_halved(model: nn.Module, precision: Precision) -> bool:
    """Whether passes over a model's float32 weights are computed in bfloat16."""
    parameters = list(model.parameters())
    if all(p.dtype != torch.float32 for p in parameters):
        return False  # it is short already, and is computed as the sampler computes it
    on_gpu = parameters[0].device.type == "cuda"
    return precision == "bfloat16" or (precision == "auto" and on_gpu and torch.cuda.is_bf16_supported())


def choose_precision(model: nn.Module, precision: Precision) -> Callable[[], AbstractContextManager[object]]:
    """What to compute passes over a model in, as a context manager to call for each."""
    kind, halved = next(model.parameters()).device.type, is_halved(model, precision)
    return lambda: torch.autocast(kind, dtype=torch.bfloat16) if halved else nullcontext()


def token_logprobs(model: nn.Module, batch: Batch, temperature: float = 1.0) -> tuple[Tensor, Tensor]:
    """The same at the tokens' own positions: two tensors of shape (B, T), zero off the action tokens."""
    logprobs_n, entropy_n = action_logprobs(model, batch, temperature)
    mask = batch.action_mask_bt
    shape_bt = torch.zeros(mask.shape, dtype=torch.float32, device=mask.device)
    return shape_bt.masked_scatter(mask, logprobs_n), shape_bt.masked_scatter(mask, entropy_n)
