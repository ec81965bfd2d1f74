"""Shapes of models: how many weights they have, what a token costs them in arithmetic and in memory."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_gym.errors import BadOptionError, did_you_mean


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """A decoder of attention with grouped keys, gated MLPs and RMS norms: Llama, Mistral, Qwen2 and Qwen3."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    intermediate: int
    vocabulary: int
    tied: bool
    """Whether the output layer is the embedding."""
    qkv_bias: bool = False
    output_bias: bool = False
    """Of attention."""
    mlp_bias: bool = False
    head_norms: bool = False
    """Norms of queries and keys, as Qwen3 has them."""

    @property
    def attention_width(self) -> int:
        """Numbers in all queries of a token."""
        return self.heads * self.head_width

    @property
    def kv_width(self) -> int:
        """Numbers in all keys of a token."""
        return self.kv_heads * self.head_width

    @property
    def matrices(self) -> tuple[tuple[int, int], ...]:
        """The matrices of a layer, as (inputs, outputs): queries, keys, values, output, gate, up, down."""
        h, q, kv, i = self.hidden, self.attention_width, self.kv_width, self.intermediate
        return ((h, q), (h, kv), (h, kv), (q, h), (h, i), (h, i), (i, h))

    @property
    def layer_matrix_weights(self) -> int:
        """Weights in the matrices of a layer, each multiplied and added once per token."""
        return sum(inputs * outputs for inputs, outputs in self.matrices)

    @property
    def layer_weights(self) -> int:
        """All weights of a layer."""
        h, q, kv = self.hidden, self.attention_width, self.kv_width
        biases = self.qkv_bias * (q + 2 * kv) + self.output_bias * h + self.mlp_bias * (2 * self.intermediate + h)
        return self.layer_matrix_weights + biases + 2 * h + self.head_norms * 2 * self.head_width

    @property
    def embedding_weights(self) -> int:
        """Weights of the embedding, and as many of the output layer where that is not the same."""
        return self.vocabulary * self.hidden

    @property
    def weights(self) -> int:
        """All weights; what is tied counts once."""
        return self.layers * self.layer_weights + self.hidden + self.embedding_weights * (1 if self.tied else 2)

    def adapter_weights(self, rank: int) -> int:
        """Weights of LoRA adapters on every matrix of every layer."""
        return self.layers * sum(rank * (inputs + outputs) for inputs, outputs in self.matrices)

    def kv_bytes(self, bytes_per_number: int) -> int:
        """Bytes of a token's keys and values in all layers."""
        return 2 * self.layers * self.kv_width * bytes_per_number

    def layer_flops(self, tokens: int, length: float) -> float:
        """Floating-point operations of all layers in a forward pass.

        Args:
            tokens: That go through.
            length: Tokens that each attends to, on average.
        """
        return tokens * self.layers * (2.0 * self.layer_matrix_weights + 4.0 * length * self.attention_width)

    def head_flops(self, tokens: int) -> float:
        """Operations of the output layer for the logits at `tokens` positions."""
        return 2.0 * tokens * self.embedding_weights

    def saved_bytes(self, *, halved: bool, recomputed: bool) -> int:
        """Bytes per token that the layers keep for the backward pass, as transformers computes them (scaled attention).

        A layer keeps, of width h: both inputs of its norms and both normalised (4), what goes into its matrices (3, or
        6 where autocast makes a bfloat16 copy for each of queries, keys, values, gate and up), and the queries; keys
        and values; of the MLP's width: gate, its activation, up, and their product. And a few numbers.

        Args:
            halved: Matrices in bfloat16 over float32 weights; what flows between layers stays float32.
            recomputed: With gradient checkpointing: each layer keeps its input only.
        """
        h, kv, i = self.hidden, self.kv_width, self.intermediate
        last = 8 * h + 4 + 8 * self.head_width + 8  # the last norm, the rotation, the ids
        if recomputed:
            return self.layers * 4 * h + last
        q = self.attention_width
        layer = 16 * h + 2 * (5 * h + 2 * q) + 4 * kv + 8 * i if halved else 4 * (6 * h + 2 * q + 2 * kv + 4 * i)
        return self.layers * (layer + 4 * self.heads + 8) + last


def _qwen(hidden: int, layers: int, heads: int, kv_heads: int, intermediate: int, *, vocabulary: int = 151936) -> Shape:
    return Shape(
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_width=hidden // heads,
        intermediate=intermediate,
        vocabulary=vocabulary,
        tied=vocabulary == 151936,
        qkv_bias=True,
    )


KNOWN = {
    "Qwen2.5-0.5B": _qwen(896, 24, 14, 2, 4864),
    "Qwen2.5-1.5B": _qwen(1536, 28, 12, 2, 8960),
    "Qwen2.5-3B": _qwen(2048, 36, 16, 2, 11008),
    "Qwen2.5-7B": _qwen(3584, 28, 28, 4, 18944, vocabulary=152064),
}
"""From the models' published configurations; the instruct models have the same."""
_BY_NAME = {name.lower(): shape for name, shape in KNOWN.items()}

_FAMILIES = ("llama", "mistral", "qwen2", "qwen3")


def shape_of(model: str) -> Shape:
    """Return the shape of a model: a directory with a `config.json`, or the name or hub id of a known one.

    Raises:
        BadOptionError: If it is neither, or a kind of model whose layers are not understood here.
    """
    file = Path(model) / "config.json"
    if file.is_file():
        return shape_from_config(json.loads(file.read_text(encoding="utf-8")), str(file))
    if is_known(model):
        return _BY_NAME[_name(model)]
    raise BadOptionError(
        f"--model must name a directory with a config.json, or one of {list(KNOWN)}, got {model!r}."
        f"{did_you_mean(model, KNOWN)}"
    )


def is_known(model: str) -> bool:
    """Whether the shape of a model is known by its name or hub id alone."""
    return _name(model) in _BY_NAME


def _name(model: str) -> str:
    return model.rsplit("/", maxsplit=1)[-1].lower().removesuffix("-instruct")


def shape_from_config(config: Mapping[str, Any], where: str = "config.json") -> Shape:
    """Read a shape out of a configuration as transformers writes it.

    Raises:
        BadOptionError: If it is of another family, or lacks a number.
    """
    family = config.get("model_type")
    if family not in _FAMILIES:
        raise BadOptionError(f"expected a model_type of {list(_FAMILIES)} in {where}, got {family!r}.")
    try:
        hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
        bias = bool(config.get("attention_bias", False))
        return Shape(
            hidden=hidden,
            layers=int(config["num_hidden_layers"]),
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head_width=int(config.get("head_dim") or hidden // heads),
            intermediate=int(config["intermediate_size"]),
            vocabulary=int(config["vocab_size"]),
            tied=bool(config.get("tie_word_embeddings", False)),
            qkv_bias=family == "qwen2" or bias,
            output_bias=family != "qwen2" and bias,
            mlp_bias=bool(config.get("mlp_bias", False)),
            head_norms=family == "qwen3",
        )
    except KeyError as error:
        raise BadOptionError(f"{where} does not tell {error}.") from error
