"""Models from directories or the hub, and LoRA adapters on them. Nothing is unpickled, no foreign code is run."""

from __future__ import annotations

import importlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from agent_gym.errors import MissingExtraError
from trainers.policies.base import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ADAPTER_CONFIG = "adapter_config.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraSettings:
    """Train small matrices beside the weights instead of the weights (LoRA), through peft."""

    rank: int = 16
    alpha: float = 32.0
    """The update is scaled by alpha / rank."""
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    """Which layers: every linear one but the head, or those whose names end in one of these, such as "q_proj"."""
    seed: int = 0
    """Of the initial matrices; the update they make is 0 whatever they are."""


def load_model(
    path_or_id: str | os.PathLike[str],
    *,
    lora: LoraSettings | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    trust_remote_code: bool = False,
) -> tuple[Any, PreTrainedTokenizerBase]:
    """Load a causal language model and its tokenizer.

    Args:
        path_or_id: A directory as `save_pretrained` writes it, of a model or of a peft adapter (whose base is loaded
            too), or the id of a model on the hub.
        lora: Adds a fresh adapter.
        device: Where to; by default a GPU if there is one.
        dtype: Of the weights; by default bfloat16 on a GPU that has it and float32 elsewhere.
        trust_remote_code: Run the Python code that comes with the model. It can do anything you can.

    Raises:
        ModelError: If there is no such model, its weights are not in safetensors, or the tokenizer is missing.
        MissingExtraError: If peft is needed and not installed.
    """
    device = _usable_device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if dtype is None:
        dtype = torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    name = str(path_or_id)
    base = base_of(name)
    adapter = Path(name) if base != name else None
    check_directory(base)
    tokenizer = load_tokenizer(name)
    model = _load_weights(base, dtype, trust_remote_code)
    if adapter:
        model = _peft().PeftModel.from_pretrained(model, str(adapter), is_trainable=True)
    if lora:
        if adapter:
            raise ModelError(f"{name} is an adapter already: continue it without LoRA settings, or name its base.")
        model = add_lora(model, lora)
    return model.to(device), tokenizer


def check_directory(name: str) -> None:
    """Say what is wrong with a local directory before transformers looks for it on the hub.

    Raises:
        ModelError: If it lacks what a model, or an adapter, must have.
    """
    path = Path(name)
    if (path / ADAPTER_CONFIG).is_file():
        name = base_of(name)
        path = Path(name)
    if not path.is_dir():
        if path.is_file() or name.startswith((".", "~", os.sep)) or name.count("/") > 1:
            raise ModelError(f"expected a model's directory, or the id of one on the hub, got {name}: there is none.")
        return
    if not (path / "config.json").is_file():
        raise ModelError(f"{name} is no model directory: it has no config.json.")
    if not any(path.glob("*.safetensors")):
        raise ModelError(
            f"{name} has no weights in safetensors. Pickled ones (pytorch_model.bin) are never loaded, as they can run "
            "code: load them where you trust them and save with model.save_pretrained."
        )
    if not any((path / file).is_file() for file in ("tokenizer.json", "tokenizer_config.json", "tokenizer.model")):
        raise ModelError(f"{name} has no tokenizer: put the one the model was trained with into the directory.")


def add_lora(model: Any, settings: LoraSettings) -> Any:
    """Put a fresh adapter on a model and freeze everything else; torch's own generator is left as it was.

    Returns:
        A `PeftModel`; its `save_pretrained` writes a directory that peft and vLLM load.

    Raises:
        ModelError: If the settings fit nothing in the model.
        MissingExtraError: If peft is not installed.
    """
    peft = _peft()
    targets = settings.targets if isinstance(settings.targets, str) else list(settings.targets)
    if settings.rank < 1:
        raise ModelError(f"the rank of a LoRA adapter must be 1 or more, got {settings.rank}.")
    config = peft.LoraConfig(
        task_type="CAUSAL_LM", r=settings.rank, lora_alpha=settings.alpha, target_modules=targets, lora_dropout=0.0
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        try:
            return peft.get_peft_model(model, config)
        except ValueError as error:  # peft's, for targets that no layer has
            raise ModelError(f"no adapter can be put on {type(model).__name__}: {error}") from error


def usable_context(model: Any, wanted: int | None) -> int:
    """Return how many tokens the model can be given such that plain causal attention is what it would do itself.

    Args:
        model: The model.
        wanted: A limit of the caller's.

    Raises:
        ModelError: If it has no such number: layers that keep a running state, an encoder, or attention that takes no
            mask of ours.
    """
    config = model.config.get_text_config()
    attention = config._attn_implementation
    if attention not in ("sdpa", "eager"):
        raise ModelError(
            f"expected attention 'sdpa' or 'eager', got {attention!r}: load the model with attn_implementation='sdpa'."
        )
    kinds = set(getattr(config, "layer_types", None) or ())
    foreign = kinds - {"full_attention", "sliding_attention"}
    if foreign or model.config.is_encoder_decoder or getattr(model, "_is_stateful", False):
        raise ModelError(
            f"expected a decoder with attention in every layer, got {type(model).__name__} "
            f"({model.config.model_type}): its state can't be kept token by token."
        )
    limits = [getattr(config, "max_position_embeddings", None), wanted]
    window = getattr(config, "sliding_window", None)
    if window and ("sliding_attention" in kinds or (not kinds and getattr(config, "use_sliding_window", True))):
        limits.append(window)  # within the window it is plain causal attention
    known = [limit for limit in limits if limit is not None]
    if not known or min(known) < 2:
        raise ModelError(f"expected a context of 2 tokens or more, got {known}: pass context_limit.")
    return int(min(known))


def _usable_device(named: torch.device | str) -> torch.device:
    try:
        device = torch.device(named)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # AssertionError: a torch that was built without such devices
        raise ModelError(
            f"device must be auto, cpu, or one that torch finds here, got {str(named)!r}: {error}"
        ) from error
    return device


def base_of(name: str) -> str:
    """Return the base model of an adapter's directory; any other name as it is.

    Raises:
        ModelError: If the adapter has no weights in safetensors, or does not name its base.
    """
    adapter = Path(name)
    if not (adapter / ADAPTER_CONFIG).is_file():
        return name
    if not (adapter / "adapter_model.safetensors").is_file():
        raise ModelError(f"{adapter} has no adapter_model.safetensors; pickled weights are never loaded: save it anew.")
    try:
        named = json.loads((adapter / ADAPTER_CONFIG).read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ModelError(f"{adapter / ADAPTER_CONFIG} does not name the adapter's base model.") from error
    return str(named)


def adapter_rank(directory: str) -> int:
    """Return the rank of an adapter's matrices.

    Raises:
        ModelError: If its configuration does not tell.
    """
    try:
        rank = json.loads((Path(directory) / ADAPTER_CONFIG).read_text(encoding="utf-8"))["r"]
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ModelError(f"{Path(directory) / ADAPTER_CONFIG} does not tell the adapter's rank (r).") from error
    return int(rank)


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a model, or of an adapter: its own if it has one, else its base's.

    Raises:
        ModelError: If there is none.
    """
    from transformers import AutoTokenizer

    if not (Path(name) / "tokenizer_config.json").is_file():
        name = base_of(name)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ModelError(f"no tokenizer could be loaded from {name}: {error}{_elsewhere(name)}") from error
    return tokenizer


def end_ids_of(generation_config: Any) -> tuple[int, ...]:
    """Return the ids that end an answer, by a model's generation configuration; none if it has none."""
    eos = getattr(generation_config, "eos_token_id", None)
    return (eos,) if isinstance(eos, int) else tuple(eos or ())


def load_generation_config(name: str) -> Any:
    """Load a model's generation configuration; None if it has none."""
    from transformers import GenerationConfig

    try:
        return GenerationConfig.from_pretrained(name)
    except OSError:
        return None


def _load_weights(name: str, dtype: torch.dtype, trust_remote_code: bool) -> Any:
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    load: Any = AutoModelForCausalLM.from_pretrained  # its types leave out the report
    try:
        model, report = load(
            name,
            dtype=dtype,
            attn_implementation="sdpa",
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:  # RuntimeError: sizes that do not match
        raise ModelError(f"no causal language model could be loaded from {name}: {error}{_elsewhere(name)}") from error
    if report["missing_keys"]:  # transformers would go on with random numbers in their place
        raise ModelError(f"the weights in {name} lack {sorted(report['missing_keys'])[:3]} and perhaps more.")
    return model


def _elsewhere(name: str) -> str:
    if Path(name).is_dir():
        return ""
    return f" Where there is a network `hf download {name} --local-dir DIR` gets it; --model DIR then names it."


def _peft() -> Any:
    try:
        return importlib.import_module("peft")
    except ImportError as error:
        raise MissingExtraError("LoRA needs peft: pip install 'agent-gym[train]'.") from error
