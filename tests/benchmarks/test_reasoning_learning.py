"""The learning curve in reasoning-gym's questions can be made."""

from dataclasses import replace

import pytest

from benchmarks.reasoning_learning import IMITATOR, curves

pytest.importorskip("reasoning_gym", reason="needs the extra reasoning-gym")


def test_both_methods_begin_with_the_same_model():
    found = curves(0, 2, replace(IMITATOR, sft=replace(IMITATOR.sft, rounds=1, episodes=16)))
    assert {name: len(success) for name, success in found.items()} == {"GRPO": 2, "GiGPO": 2}
    assert found["GRPO"][0] == found["GiGPO"][0]
