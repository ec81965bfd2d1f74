"""What a plan says of a GPU's memory, beside the tensors of a learner."""

import dataclasses
import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.trainers.small_model import random_samples, small_model
from trainers.config import EnvConfig, ModelConfig, RolloutConfig, TrainConfig
from trainers.credit import Gae, ReinforcePlusPlus
from trainers.critics.critic import Critic
from trainers.critics.settings import CriticSettings
from trainers.learner import Learner
from trainers.losses.ppo import PpoLoss
from trainers.policies.load import LoraSettings, add_lora
from trainers.scale.machine import GIB, Machine, Work
from trainers.scale.memory import learner_memory, sampler_memory
from trainers.scale.shapes import KNOWN, shape_from_config
from trainers.settings import LearnerSettings, SamplerSettings

STEP = EnvConfig(id="AgentGym/ALFWorld-v0", context="step")


def line(memory, what):
    found = [one.bytes for one in memory.lines if one.what.startswith(what)]
    assert len(found) == 1, [one.what for one in memory.lines]
    return found[0]


def bytes_of(tensors):
    return sum(tensor.nbytes for tensor in {tensor.data_ptr(): tensor for tensor in tensors}.values())


def learnt(model, loss=None):
    """A learner after an update, with its gradients."""
    learner = Learner(model, LearnerSettings(learning_rate=1e-3), loss or PpoLoss(kl_weight=0.01))
    learner.update(random_samples())
    return learner


def test_a_learners_tensors_are_as_planned():
    model = small_model(tied=True)
    shape = shape_from_config(model.config.to_dict())
    memory = learner_memory(shape, TrainConfig(env=STEP), Machine(), Work())
    learner = learnt(model)
    weights = list(model.parameters())
    assert line(memory, "weights") == bytes_of(weights)
    assert line(memory, "gradients") == bytes_of(weight.grad for weight in weights)
    averages = [value for name, value in learner.state().tensors.items() if not name.endswith(".step")]
    assert line(memory, "the optimiser's averages") == bytes_of(averages)
    assert line(memory, "reference model") == bytes_of(learner._reference.model.parameters())
    learner.forget_gradients()
    assert all(weight.grad is None for weight in weights)


def test_what_the_estimator_asks_for_is_planned_too():
    model = small_model()
    shape = shape_from_config(model.config.to_dict())
    # A reference for REINFORCE++'s penalty in the rewards, though the loss has no term for it.
    without = TrainConfig(env=STEP, loss=PpoLoss(kl_weight=0.0))
    assert not any(one.what == "reference model" for one in learner_memory(shape, without, Machine(), Work()).lines)
    penalty = dataclasses.replace(without, credit=ReinforcePlusPlus(kl_weight=0.01))
    assert line(learner_memory(shape, penalty, Machine(), Work()), "reference model") == bytes_of(model.parameters())
    # And a critic with a model of its own, which learns as the policy does.
    own = dataclasses.replace(without, credit=Gae(), critic=CriticSettings(trunk="own"))
    critic = Critic(model, own.critic, own.learner)
    memory = learner_memory(shape, own, Machine(), Work())
    assert line(memory, "the critic's own model") == bytes_of(critic.trunk.parameters())
    assert line(memory, "the critic's gradients and averages") == 3 * bytes_of(critic.trunk.parameters())
    shared = dataclasses.replace(own, critic=CriticSettings(trunk="shared"))
    assert not any("critic" in one.what for one in learner_memory(shape, shared, Machine(), Work()).lines)


def test_an_adapters_tensors_are_as_planned():
    model = add_lora(small_model().to(torch.bfloat16), LoraSettings(rank=4))
    shape = shape_from_config(model.config.to_dict())
    config = TrainConfig(env=STEP, model=ModelConfig(path="m", lora_rank=4))
    memory = learner_memory(shape, config, Machine(), Work())
    learner = learnt(model)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    assert line(memory, "weights") == bytes_of(model.parameters())  # peft keeps adapters in float32
    assert line(memory, "gradients") == bytes_of(weight.grad for weight in trained)
    averages = [value for name, value in learner.state().tensors.items() if not name.endswith(".step")]
    assert line(memory, "the optimiser's averages") == bytes_of(averages)
    assert not any(one.what == "reference model" for one in memory.lines)


class Copies(TorchDispatchMode):
    """Notes the most bytes that short copies of float32 matrices have taken at a time."""

    def __init__(self, model):
        super().__init__()
        self._shapes = {weight.shape for weight in model.parameters() if weight.ndim == 2}
        self._made = []
        self.peak = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        if function is torch.ops.aten._to_copy.default and made.dtype == torch.bfloat16 and made.shape in self._shapes:
            self._made.append((weakref.ref(made.untyped_storage()), made.nbytes))
            self.peak = max(self.peak, sum(nbytes for storage, nbytes in self._made if storage() is not None))
        return made


@pytest.mark.parametrize("recomputed", [False, True])
def test_autocasts_copies_are_as_planned(recomputed):
    model = small_model(tied=True)
    shape = shape_from_config(model.config.to_dict())
    settings = LearnerSettings(precision="bfloat16", gradient_checkpointing=recomputed)
    config = TrainConfig(env=STEP, loss=PpoLoss(kl_weight=0.0), learner=settings)
    with Copies(model) as copies:
        Learner(model, settings, config.loss).update(random_samples())
    planned = [learner_memory(shape, config, machine, Work()) for machine in (Machine(), Machine(gpus=2))]
    assert [line(memory, "bfloat16 copies") for memory in planned] == [copies.peak] * 2
    # In pieces the weights that a layer is computed with are bfloat16 themselves.
    pieces = dataclasses.replace(config, learner=dataclasses.replace(settings, sharding="fsdp2"))
    memory = learner_memory(shape, pieces, Machine(gpus=2), Work())
    assert not any("copies" in one.what for one in memory.lines)


def test_pieces_divide_what_is_learnt():
    shape = KNOWN["Qwen2.5-7B"]
    config = TrainConfig(env=STEP, learner=LearnerSettings(sharding="fsdp2"))
    whole, pieces = (learner_memory(shape, config, Machine(gpus=gpus), Work()) for gpus in (1, 8))
    # One GPU has nothing to share with: 7.6e9 weights of 4 bytes.
    assert line(whole, "weights") == 4 * shape.weights
    assert line(pieces, "weights to sample from") == 4 * shape.weights
    for what in ("gradients", "the optimiser's averages", "reference model"):
        assert line(pieces, what) == line(whole, what) / 8


def test_an_engine_takes_its_share_while_it_is_awake():
    shape = KNOWN["Qwen2.5-1.5B"]
    config = TrainConfig(env=STEP, sampler=SamplerSettings(engine="vllm", gpu_memory=0.5))
    memory = learner_memory(shape, config, Machine(gpu="h100"), Work())
    engine = line(memory, "vLLM: weights") + line(memory, "vLLM: room")
    assert engine == pytest.approx(0.5 * 79.6 * GIB)
    assert line(memory, "vLLM: weights") == 2 * shape.weights
    always = sum(one.bytes for one in memory.lines if one.when == "always") / GIB
    assert memory.peak_gib("sampling") == pytest.approx(always + 0.5 * 79.6)
    # On GPUs of its own it has beside it what the learner sends, in float32, and the learner's have none of it.
    apart = Machine(gpu="h100", gpus=2, sampling_gpus=1)
    alone = sampler_memory(shape, config, apart, Work())
    assert alone.peak_gib("sampling") == pytest.approx(0.5 * 79.6 + 4 * shape.weights / GIB)
    assert learner_memory(shape, config, apart, Work()).peak_gib("sampling") == pytest.approx(always)


def test_the_longest_sample_bounds_a_micro_batch_from_below():
    shape, work = KNOWN["Qwen2.5-0.5B"], Work(longest=50, observation_tokens=300, answer_tokens=100)
    settings = LearnerSettings(tokens_per_micro_batch=1000, gradient_checkpointing=True)
    config = TrainConfig(
        env=dataclasses.replace(STEP, context="conversation"), learner=settings, rollout=RolloutConfig(groups=1)
    )
    kept = shape.saved_bytes(halved=True, recomputed=True)
    # 50 turns of 300 + 100 tokens are 20,000, and no sample is cut.
    assert line(learner_memory(shape, config, Machine(), work), "activations") == 20_000 * kept
    short = dataclasses.replace(config, sampler=SamplerSettings(context_limit=6000))
    assert line(learner_memory(shape, short, Machine(), work), "activations") == 6000 * kept
