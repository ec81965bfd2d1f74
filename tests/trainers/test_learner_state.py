"""What a learner keeps beside the weights: its reference, its schedule, and the state that a checkpoint has."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from agent_gym.errors import BadOptionError
from tests.trainers.small_model import random_samples, small_model, with_sampler_logprobs
from trainers.learner import Learner
from trainers.losses.ppo import PpoLoss
from trainers.settings import LearnerSettings

INF = math.inf
ON_POLICY = PpoLoss(kl_weight=0.0, importance_cap=None)
"""Nothing but the clipped loss against the sampler's own log-probabilities."""


# -- the reference -----------------------------------------------------------------------------------------------------


def adapted(seed: int = 0) -> Any:
    peft = pytest.importorskip("peft")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return peft.get_peft_model(small_model(), peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))


def test_reference_of_an_adapter_is_the_base_without_it():
    model = adapted()
    head = model.get_base_model().lm_head.weight
    samples = with_sampler_logprobs(small_model(), random_samples())
    learner = Learner(model, LearnerSettings(learning_rate=1e-2), PpoLoss())
    assert learner._reference is not None
    assert learner._reference.model is model  # no copy is held
    assert learner.update(samples)["kl"] == 0  # an adapter starts as nothing
    assert learner.update(samples)["kl"] > 0
    # What it is taken to is still the base, to which the sampler's log-probabilities belong.
    found = learner._reference_logprobs(samples)
    for sample in samples:
        expected = torch.from_numpy(sample.old_logprobs[sample.action_mask])
        torch.testing.assert_close(found[sample.key], expected, atol=1e-5, rtol=0)
    assert torch.equal(head, small_model().lm_head.weight)


def test_reference_of_whole_weights_is_a_frozen_copy():
    model = small_model()
    samples = with_sampler_logprobs(model, random_samples())
    learner = Learner(model, LearnerSettings(learning_rate=1e-2), PpoLoss())
    assert learner.update(samples)["kl"] == 0
    assert learner.update(samples)["kl"] > 0
    assert learner._reference is not None
    assert not any(p.requires_grad for p in learner._reference.model.parameters())
    start = small_model().parameters()
    assert all(torch.equal(p, q) for p, q in zip(learner._reference.model.parameters(), start, strict=True))


def test_without_a_divergence_no_reference_is_held():
    assert Learner(small_model(), loss=ON_POLICY)._reference is None


# -- the schedule and the state ----------------------------------------------------------------------------------------


# Ten steps, two of warm-up, peak 1: 0.5, 1, then 1 − s or (1 + cos πs)/2 with s = (step − 2)/8.
@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0.5, 1, 1, 1, 1]),
        ("linear", [0.5, 1, 1, 0.5, 0]),
        ("cosine", [0.5, 1, 1, 0.5, 0]),
    ],
)
def test_learning_rate(schedule, expected):
    settings = LearnerSettings(learning_rate=1.0, schedule=schedule, warmup_steps=2)
    assert [settings.rate_at(step, 10) for step in (0, 1, 2, 6, 12)] == pytest.approx(expected)
    # cos(π/4) = 0.707107
    if schedule == "cosine":
        assert settings.rate_at(4, 10) == pytest.approx(0.853553)


def test_weights_move_as_the_schedule_says():
    # Two updates of two steps: 1, 3/4, 1/2 and 1/4 of the peak, of which the metrics show the second; then nothing.
    settings = LearnerSettings(learning_rate=0.01, schedule="linear", minibatches=2)
    learner = Learner(small_model(), settings, ON_POLICY, total_updates=2)
    rates = [learner.update(random_samples(seed=update))["learning_rate"] for update in range(2)]
    assert rates == pytest.approx([0.0075, 0.0025])
    before = [weight.detach().clone() for weight in learner.model.parameters()]
    assert learner.update(random_samples(seed=2))["learning_rate"] == 0
    assert all(torch.equal(p, q) for p, q in zip(learner.model.parameters(), before, strict=True))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", 0.0),
        ("warmup_steps", -1),
        ("betas", (0.9, 1.0)),
        ("max_grad_norm", 0.0),
        ("minibatches", 0),
        ("schedule", "step"),
        ("precision", "int8"),
    ],
)
def test_learner_settings_that_mean_nothing_are_refused(name, value):
    with pytest.raises(ValueError, match=f"expected .*{name}"):
        LearnerSettings(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("clip_low", 1.5),
        ("clip_high", -0.1),
        ("dual_clip", 1.0),
        ("kl_weight", -1.0),
        ("kl_estimator", "k4"),
        ("aggregation", "sum"),
        ("importance_cap", 0.5),
        ("entropy_weight", INF),
    ],
)
def test_loss_settings_that_mean_nothing_are_refused(name, value):
    with pytest.raises(ValueError, match=f"expected .*{name}"):
        PpoLoss(**{name: value})


def learning_run(model, optimiser="adamw"):
    settings = LearnerSettings(learning_rate=1e-3, schedule="cosine", minibatches=2, epochs=2, optimiser=optimiser)
    return Learner(model, settings, PpoLoss(entropy_weight=0.01), total_updates=4, seed=5)


def untimed(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name != "seconds"}


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_resumed_learner_goes_on_bit_for_bit(dtype, optimiser):
    whole = small_model().to(dtype)
    learner = learning_run(whole, optimiser)
    expected = [untimed(learner.update(random_samples(seed=update))) for update in range(4)]

    first = learning_run(before := small_model().to(dtype), optimiser)
    for update in range(2):
        first.update(random_samples(seed=update))
    state, weights = first.state(), {name: tensor.clone() for name, tensor in before.state_dict().items()}
    # It holds the reference before the weights are replaced.
    second = learning_run(after := small_model().to(dtype), optimiser)
    after.load_state_dict(weights)
    second.load_state(state)
    assert [untimed(second.update(random_samples(seed=update))) for update in (2, 3)] == expected[2:]
    assert all(torch.equal(p, q) for p, q in zip(after.parameters(), whole.parameters(), strict=True))


def test_muon_moves_the_matrices_inside_the_layers_in_all_directions_alike():
    # A gradient from few samples has a few large singular values and many small ones. Five Newton-Schulz steps bring
    # all but the tiniest between 0.7 and 1.2, so most are more than half the largest; AdamW leaves few of that size.
    share = {}
    for optimiser in ("adamw", "muon"):
        model = small_model()
        before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
        settings = LearnerSettings(learning_rate=1e-3, optimiser=optimiser)
        Learner(model, settings, ON_POLICY).supervised(random_samples())
        moved = {name: weight.detach() - before[name] for name, weight in model.named_parameters()}
        singular = torch.linalg.svdvals(moved["model.layers.0.self_attn.q_proj.weight"])
        share[optimiser] = float((singular > singular[0] / 2).float().mean())
        # AdamW's first step is the sign of the gradient times the rate, for the embeddings of both.
        step = moved["model.embed_tokens.weight"].abs()
        torch.testing.assert_close(step.max(), torch.tensor(1e-3), rtol=1e-2, atol=0)
    assert share["adamw"] < 0.5 < share["muon"], share


def test_a_state_of_another_optimiser_is_refused():
    learner = learning_run(small_model(), "muon")
    learner.update(random_samples())
    with pytest.raises(ValueError, match="for this model, got one that differs in"):
        learning_run(small_model()).load_state(learner.state())


def test_weights_in_pieces_are_not_for_muon():
    with pytest.raises(ValueError, match="expected optimiser adamw with sharding fsdp2, got muon"):
        LearnerSettings(sharding="fsdp2", optimiser="muon")


def test_a_state_of_another_model_is_refused():
    learner = learning_run(adapted())
    learner.update(random_samples())
    with pytest.raises(ValueError, match="for this model, got one that differs in"):
        learning_run(small_model()).load_state(learner.state())


def test_a_renewed_reference_is_the_model_as_it_is_then():
    model = small_model()
    learner = Learner(model, LearnerSettings(learning_rate=0.01), PpoLoss(kl_weight=0.1))
    samples = random_samples()
    learner.update(samples)
    now = [values.numpy() for values in learner.logprobs(samples)]
    assert not np.allclose(np.concatenate(learner.reference_logprobs(samples)), np.concatenate(now), atol=1e-3)
    learner.renew_reference()
    np.testing.assert_allclose(np.concatenate(learner.reference_logprobs(samples)), np.concatenate(now), atol=1e-6)
    learner.update(samples)  # the copy stays where it is
    np.testing.assert_allclose(np.concatenate(learner.reference_logprobs(samples)), np.concatenate(now), atol=1e-6)


def test_a_reference_is_renewed_after_so_many_updates():
    def divergences(**settings):
        learner = Learner(small_model(), LearnerSettings(learning_rate=0.01, **settings), PpoLoss(kl_weight=0.1))
        return [learner.update(random_samples())["kl"] for _ in range(5)]

    kept, renewed = divergences(), divergences(renew_reference=2)
    # One step per update, so the divergence is that from before it: 0 from the reference itself.
    assert renewed[:2] == kept[:2]
    assert [kl == 0 for kl in renewed] == [True, False, True, False, True]
    assert all(kl > 0 for kl in kept[1:])


def test_only_a_reference_of_its_own_can_be_renewed():
    with pytest.raises(BadOptionError, match=r"none: give a loss\.kl_weight"):
        Learner(small_model(), LearnerSettings(), ON_POLICY).renew_reference()
    renewing = LearnerSettings(renew_reference=10)
    with pytest.raises(BadOptionError, match=r"none: give a loss\.kl_weight"):
        Learner(small_model(), renewing, ON_POLICY)
    with pytest.raises(BadOptionError, match="the base under an adapter"):
        Learner(adapted(), renewing, PpoLoss(kl_weight=0.1))


def test_the_reference_of_another_model_is_refused():
    learner = Learner(small_model(), LearnerSettings(learning_rate=0.01), PpoLoss(kl_weight=0.1))
    learner.update(random_samples())
    assert not any(name.startswith("reference.") for name in learner.state().tensors), "it is what the run started from"
    learner.renew_reference()
    state = learner.state()
    del state.tensors["reference.lm_head.weight"]
    with pytest.raises(ValueError, match=r"one that differs in reference\.lm_head\.weight"):
        learner.load_state(state)


def test_steps_of_so_many_samples():
    samples = random_samples(groups=3)
    sized = LearnerSettings(learning_rate=1e-3, minibatch_size=len(samples) // 3)
    counted = LearnerSettings(learning_rate=1e-3, minibatches=3)
    learners = [Learner(small_model(), settings) for settings in (sized, counted)]
    assert len(samples) // (len(samples) // 3) == 3
    assert learners[0].update(samples).keys() == learners[1].update(samples).keys()
    assert [learner.step for learner in learners] == [3, 3]
    for one, other in zip(*(learner.model.parameters() for learner in learners), strict=True):
        assert torch.equal(one, other)
    assert sized.steps_for(1) == 1  # however few there are
    with pytest.raises(ValueError, match="constant schedule"):
        LearnerSettings(minibatch_size=8, schedule="linear")
