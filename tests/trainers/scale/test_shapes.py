"""What a plan computes from a shape, beside what torch and transformers make of it."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoModelForCausalLM,
    DynamicCache,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
)

from agent_gym.errors import BadOptionError
from trainers.scale.shapes import KNOWN, Shape, shape_from_config, shape_of

SMALL: Any = {
    "vocab_size": 96,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def small(attention: str = "sdpa") -> tuple[Qwen2ForCausalLM, Shape]:
    given: Any = {**SMALL, "tie_word_embeddings": True, "attn_implementation": attention}
    config = Qwen2Config(**given)
    return Qwen2ForCausalLM(config).eval(), shape_from_config(config.to_dict())


@pytest.mark.parametrize("name", KNOWN)
def test_weights_are_those_of_the_published_shapes(name):
    shape = KNOWN[name]
    config = Qwen2Config(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        tie_word_embeddings=shape.tied,
    )
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    assert shape.weights == sum(weight.numel() for weight in model.parameters())
    assert shape == shape_from_config(config.to_dict())
    assert shape_of(f"Qwen/{name}-Instruct") == shape
    # The models' own cards say 0.49, 1.54, 3.09 and 7.61 billion.
    billions = {"Qwen2.5-0.5B": 0.49, "Qwen2.5-1.5B": 1.54, "Qwen2.5-3B": 3.09, "Qwen2.5-7B": 7.61}
    assert shape.weights / 1e9 == pytest.approx(billions[name], abs=0.01)


@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(**SMALL),
        LlamaConfig(**SMALL, attention_bias=True, mlp_bias=True, tie_word_embeddings=True),
        MistralConfig(**SMALL, head_dim=32),
        Qwen3Config(**SMALL, head_dim=16, attention_bias=True),
    ],
    ids=["llama", "llama with biases", "mistral", "qwen3"],
)
def test_weights_of_other_families(config, tmp_path):
    config.save_pretrained(tmp_path)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    assert shape_of(str(tmp_path)).weights == sum(weight.numel() for weight in model.parameters())


def test_adapters():
    model, shape = small()
    peft = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=5, target_modules="all-linear"))
    assert shape.adapter_weights(5) == sum(weight.numel() for weight in peft.parameters() if weight.requires_grad)


def test_keys_and_values():
    model, shape = small()
    cache: Any = DynamicCache()
    model(input_ids=torch.zeros(1, 11, dtype=torch.long), past_key_values=cache, use_cache=True)
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert held == 11 * shape.kv_bytes(4)


def test_operations():
    model, shape = small("eager")  # torch does not count its own attention on a CPU
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=torch.zeros(2, 24, dtype=torch.long), use_cache=False)
    # torch counts attention of every token to all 24; so does a length of 24.
    assert counter.get_total_flops() == shape.layer_flops(48, 24) + shape.head_flops(48)


def test_a_backward_pass_costs_two():
    model, shape = small("eager")
    with FlopCounterMode(display=False) as counter:
        model(input_ids=torch.zeros(2, 24, dtype=torch.long), use_cache=False).logits.sum().backward()
    assert counter.get_total_flops() == 3 * (shape.layer_flops(48, 24) + shape.head_flops(48))


@contextlib.contextmanager
def kept_for_backward(model: torch.nn.Module) -> Iterator[dict[int, int]]:
    """Bytes by storage that the graph keeps, without those of the weights."""
    own = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept: dict[int, int] = {}
    alive = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)  # an address must not be used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield kept


@pytest.mark.parametrize("halved", [False, True])
@pytest.mark.parametrize("recomputed", [False, True])
def test_what_is_kept_for_the_backward_pass(halved, recomputed):
    tokens = 128
    model, shape = small()
    if recomputed:
        model.activation_checkpointing_enable({"use_reentrant": False})
        for module in model.modules():
            module.training = bool(getattr(module, "gradient_checkpointing", False))
    precision = torch.autocast("cpu", dtype=torch.bfloat16) if halved else contextlib.nullcontext()
    with kept_for_backward(model) as kept, precision:
        model.model(input_ids=torch.zeros(1, tokens, dtype=torch.long), use_cache=False)
    expected = tokens * shape.saved_bytes(halved=halved, recomputed=recomputed)
    if halved and not recomputed:
        expected += 2 * shape.layers * shape.layer_matrix_weights  # the copies that the matrices are multiplied in
    # Recomputed layers are handed the rotation too, once each: a few hundred bytes a token less or more.
    assert sum(kept.values()) == pytest.approx(expected, rel=0.12 if recomputed else 1e-9)


def test_no_such_model(tmp_path):
    with pytest.raises(BadOptionError, match=r"Did you mean 'Qwen2.5-7B'"):
        shape_of("Qwen2.5-7Bb")
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(BadOptionError, match="gpt2"):
        shape_of(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "llama", "num_attention_heads": 2}')
    with pytest.raises(BadOptionError, match="hidden_size"):
        shape_of(str(tmp_path))
