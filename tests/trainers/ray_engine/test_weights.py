"""Weights as arrays, and back."""

import pytest
import torch

from trainers.ray_engine.weights import pack, unpack


def model(seed):
    torch.manual_seed(seed)
    made = torch.nn.ModuleDict({"a": torch.nn.Linear(3, 2), "b": torch.nn.Linear(2, 2).to(torch.bfloat16)})
    made.register_parameter("one", torch.nn.Parameter(torch.tensor(float(seed))))
    made["a"].bias.requires_grad_(False)
    return made


def test_weights_come_back_bit_for_bit_whatever_their_type():
    mine, theirs = model(0), model(1)
    bias = theirs["a"].bias.clone()
    unpack(pack(mine), theirs)
    for name, weight in mine.named_parameters():
        if name != "a.bias":
            assert torch.equal(theirs.get_parameter(name), weight), name
    # What is not trained stays as it was, and does not travel.
    assert torch.equal(theirs["a"].bias, bias)
    assert "a.bias" not in pack(mine)


def test_weights_of_another_model_are_refused():
    packed = pack(model(0))
    with pytest.raises(ValueError, match=r"differing: \['a\.bias'\]"):
        unpack(packed, model(0).requires_grad_(True))
    packed["one"] = ("float32", (1,), packed["one"][2])
    with pytest.raises(ValueError, match=r"expected one of shape \(\), got \(1,\)"):
        unpack(packed, model(0))
