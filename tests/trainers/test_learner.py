"""The learner against plain computations of the same thing, and what must not change its result."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from tests.trainers.small_model import VOCABULARY, plain_logprobs, random_samples, small_model, with_sampler_logprobs
from trainers.learner import Learner, make_batch, token_logprobs
from trainers.losses.ppo import PpoLoss
from trainers.samples import Sample
from trainers.settings import LearnerSettings

INF = math.inf
ON_POLICY = PpoLoss(kl_weight=0.0, importance_cap=None)
"""Nothing but the clipped loss against the sampler's own log-probabilities."""


def gradient(model) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters()])


# -- log-probabilities -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("context", ["step", "conversation"])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_logprobs_are_those_of_each_row_alone(context, temperature):
    model, samples = small_model(), random_samples(context)
    batch = make_batch(samples)
    logprobs, entropy = token_logprobs(model, batch, temperature)
    assert logprobs.shape == entropy.shape == batch.ids_bt.shape
    for row, sample in enumerate(samples):
        there = logprobs[row, : len(sample)][torch.from_numpy(sample.action_mask)]
        torch.testing.assert_close(there, plain_logprobs(model, sample, temperature), atol=1e-5, rtol=0)
    assert (logprobs[~batch.action_mask_bt] == 0).all()
    # Random weights: nearly uniform.
    assert entropy[batch.action_mask_bt].mean().item() == pytest.approx(math.log(VOCABULARY), abs=0.1)


def test_a_model_is_left_as_it_was():
    model, samples = small_model(), random_samples()
    ids = torch.from_numpy(samples[0].ids)[None]
    before = model(ids).logits
    token_logprobs(model, make_batch(samples))
    torch.testing.assert_close(model(ids).logits, before, atol=0, rtol=0)


def test_greedy_answers_have_no_logprobs():
    with pytest.raises(ValueError, match="above 0, got 0"):
        token_logprobs(small_model(), make_batch(random_samples()), 0.0)
    with pytest.raises(ValueError, match="above 0 to learn from, got 0"):
        Learner(small_model(), temperature=0.0)


# -- the gradient ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("aggregation", ["token-mean", "sequence-mean"])
@pytest.mark.parametrize("context", ["step", "conversation"])
def test_gradient_is_that_of_the_formula(aggregation, context):
    model, samples = small_model(), random_samples(context)
    # By hand: max(−ρA, −clip(ρ)A) per token, averaged over all tokens or within each sample first.
    losses = []
    for sample in samples:
        mask = sample.action_mask
        ratio = (plain_logprobs(model, sample) - torch.from_numpy(sample.old_logprobs[mask])).exp()
        a = torch.from_numpy(sample.advantages[mask])
        losses.append(torch.maximum(-ratio * a, -ratio.clamp(0.8, 1.2) * a))
    expected = (torch.cat(losses) if aggregation == "token-mean" else torch.stack([x.mean() for x in losses])).mean()
    model.zero_grad()
    expected.backward()
    by_hand = gradient(model)

    settings = LearnerSettings(max_grad_norm=INF, tokens_per_micro_batch=100)
    loss = dataclasses.replace(ON_POLICY, aggregation=aggregation, dual_clip=None)
    metrics = Learner(model, settings, loss).update(samples)
    assert metrics["loss"] == pytest.approx(expected.item(), abs=1e-6)
    assert metrics["grad_norm"] == pytest.approx(by_hand.norm().item(), rel=1e-4)
    torch.testing.assert_close(gradient(model), by_hand, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("aggregation", ["token-mean", "sequence-mean"])
def test_gradient_is_the_same_for_any_split(aggregation):
    loss = PpoLoss(aggregation=aggregation, entropy_weight=0.02, kl_weight=0.1)
    gradients, counts = [], []
    for budget in (1, 100, 10**6):  # 1: every sample alone
        model = small_model()
        settings = LearnerSettings(max_grad_norm=INF, tokens_per_micro_batch=budget)
        metrics = Learner(model, settings, loss, reference=small_model(seed=1)).update(random_samples())
        gradients.append(gradient(model))
        counts.append(metrics["micro_batches"])
        assert metrics["padding"] < 0.1
    assert len(set(counts)) == 3
    for other in gradients[1:]:
        torch.testing.assert_close(other, gradients[0], atol=1e-7, rtol=1e-4)


def test_recomputed_activations_give_the_same_gradient():
    gradients, calls = [], []
    for checkpointing in (False, True):
        model = small_model()
        count: list[int] = []
        model.model.layers[0].mlp.register_forward_pre_hook(lambda *_, count=count: count.append(1))
        settings = LearnerSettings(gradient_checkpointing=checkpointing, tokens_per_micro_batch=10**6)
        metrics = Learner(model, settings, ON_POLICY).update(random_samples())
        gradients.append(gradient(model))
        calls.append(len(count) / metrics["micro_batches"])
        assert not any(module.training for module in model.modules())
    assert calls == [1, 2]
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-7, rtol=1e-4)


def test_bfloat16_is_close_and_weights_stay_float32():
    model, samples = small_model(), random_samples()
    exact = Learner(small_model(), LearnerSettings(max_grad_norm=INF), ON_POLICY).update(samples)
    short = Learner(model, LearnerSettings(max_grad_norm=INF, precision="bfloat16"), ON_POLICY).update(samples)
    assert short["grad_norm"] == pytest.approx(exact["grad_norm"], rel=0.05)
    assert short["grad_norm"] != pytest.approx(exact["grad_norm"], rel=1e-5)  # eight bits are not 24
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_gradients_of_short_weights_do_not_depend_on_the_split():
    norms = []
    for budget in (1, 10**6):
        settings = LearnerSettings(max_grad_norm=INF, tokens_per_micro_batch=budget)
        norms.append(Learner(small_model().bfloat16(), settings, ON_POLICY).update(random_samples())["grad_norm"])
    assert norms[0] == pytest.approx(norms[1], rel=0.02)


# -- the update --------------------------------------------------------------------------------------------------------


def test_what_earned_more_becomes_likelier():
    model = small_model()
    samples = with_sampler_logprobs(model, random_samples())
    learner = Learner(model, LearnerSettings(learning_rate=3e-3), ON_POLICY)
    before = learner.logprobs(samples)
    learner.update(samples)
    change = [(new - old).mean().item() for new, old in zip(learner.logprobs(samples), before, strict=True)]
    advantages = [sample.advantages[sample.action_mask][0] for sample in samples]
    assert np.corrcoef(change, advantages)[0, 1] > 0.5


def test_metrics_of_a_first_step_on_policy():
    model = small_model()
    samples = with_sampler_logprobs(model, random_samples())
    metrics = Learner(model, loss=PpoLoss()).update(samples)
    tokens = sum(int(sample.action_mask.sum()) for sample in samples)
    assert metrics["action_tokens"] == tokens
    assert metrics["samples"] == len(samples)
    assert metrics["steps"] == 1
    # ρ = 1 everywhere: the loss is the negative mean advantage, nothing is clipped, the reference is the model itself.
    mean_advantage = np.concatenate([sample.advantages[sample.action_mask] for sample in samples]).mean()
    assert metrics["loss"] == pytest.approx(-mean_advantage, abs=1e-5)
    assert metrics["clip_fraction"] == 0
    assert metrics["ratio_max"] == 1
    assert metrics["kl"] == 0
    assert metrics["sampler_difference_max"] < 1e-5
    assert metrics["importance_weight"] == pytest.approx(1, abs=1e-5)


def test_later_steps_of_an_update_compare_with_its_start():
    model = small_model()
    samples = with_sampler_logprobs(model, random_samples())
    settings = LearnerSettings(learning_rate=1e-3, epochs=2, minibatches=2)
    metrics = Learner(model, settings, PpoLoss()).update(samples)
    assert metrics["steps"] == 4
    assert metrics["samples"] == 2 * len(samples)
    assert metrics["ratio_max"] > 1.001
    assert metrics["old_kl"] > 0
    assert metrics["kl"] == pytest.approx(metrics["old_kl"], rel=0.5)  # the reference is the start as well
    # Of the same weights, so still a matter of rounding though the weights have moved.
    assert metrics["sampler_difference_max"] < 1e-5


def test_a_sampler_that_differs_is_corrected_and_told():
    # The sampler believes every token to be 1 nat less likely: weight e, capped at 2, so the loss is 2 × as large.
    model = small_model()
    samples = with_sampler_logprobs(model, random_samples())
    off = [dataclasses.replace(s, old_logprobs=np.where(s.action_mask, s.old_logprobs - 1, 0)) for s in samples]
    loss = dataclasses.replace(ON_POLICY, importance_cap=2.0)
    right = Learner(small_model(), loss=loss).update(samples)
    metrics = Learner(small_model(), loss=loss).update(off)
    assert metrics["sampler_difference"] == pytest.approx(1, abs=1e-4)
    assert metrics["importance_weight"] == pytest.approx(2)
    assert metrics["importance_capped"] == 1
    assert metrics["loss"] == pytest.approx(2 * right["loss"], rel=1e-3)
    # Trusted instead, the ratio itself is e, and the good tokens are clipped.
    trusted = Learner(small_model(), loss=ON_POLICY).update(off)
    assert trusted["ratio_max"] == pytest.approx(math.e, rel=1e-3)
    assert trusted["clip_fraction"] > 0


def test_supervised_learning_lowers_cross_entropy():
    model, samples = small_model(), random_samples("conversation")
    demonstrations = [
        dataclasses.replace(sample, advantages=sample.action_mask.astype(np.float32)) for sample in samples
    ]
    expected = -torch.cat([plain_logprobs(model, sample) for sample in samples]).mean().item()
    learner = Learner(model, LearnerSettings(learning_rate=3e-3), ON_POLICY)
    losses = [learner.supervised(demonstrations)["loss"] for _ in range(20)]
    assert losses[0] == pytest.approx(expected, abs=1e-5)
    assert losses[-1] < 0.8 * losses[0]


def with_weights(samples: list[Sample]) -> list[Sample]:
    """Every third sample is seen but not imitated, the others count 1."""
    return [
        dataclasses.replace(sample, advantages=sample.action_mask.astype(np.float32) * np.float32(number % 3 > 0))
        for number, sample in enumerate(samples)
    ]


def test_what_is_not_imitated_counts_nowhere():
    weighted = with_weights(random_samples())
    imitated = [sample for sample in weighted if sample.advantages.any()]
    assert len(imitated) < len(weighted)
    # By hand: the mean cross-entropy of the tokens that count, and of no others.
    model = small_model()
    expected = -torch.cat([plain_logprobs(model, sample) for sample in imitated]).mean()
    expected.backward()
    by_hand = gradient(model)
    settings = LearnerSettings(max_grad_norm=INF)
    for samples in (weighted, imitated):
        model = small_model()
        metrics = Learner(model, settings, ON_POLICY).supervised(samples)
        assert metrics["loss"] == pytest.approx(expected.item(), abs=1e-6)
        torch.testing.assert_close(gradient(model), by_hand, atol=1e-6, rtol=1e-4)
    # Half the weight everywhere is the same mean.
    halved = [dataclasses.replace(sample, advantages=sample.advantages / np.float32(2)) for sample in weighted]
    assert Learner(small_model(), settings).supervised(halved)["loss"] == pytest.approx(expected.item(), abs=1e-6)


def test_imitation_is_the_same_for_any_split():
    gradients = []
    for budget in (1, 100, 10**6):
        model = small_model()
        settings = LearnerSettings(max_grad_norm=INF, tokens_per_micro_batch=budget)
        Learner(model, settings, ON_POLICY).supervised(with_weights(random_samples()))
        gradients.append(gradient(model))
    for other in gradients[1:]:
        torch.testing.assert_close(other, gradients[0], atol=1e-7, rtol=1e-4)


def test_without_weight_nothing_is_imitated():
    model = small_model()
    nothing = [dataclasses.replace(sample, advantages=sample.advantages * 0) for sample in random_samples()]
    assert Learner(model).supervised(nothing)["steps"] == 0
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), small_model().parameters(), strict=True))


def test_nothing_to_learn_from_changes_nothing():
    model = small_model()
    before = {name: p.clone() for name, p in model.named_parameters()}
    learner = Learner(model)
    assert learner.update([])["steps"] == 0
    assert learner.step == 0
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_a_gradient_that_is_not_finite_stops_before_the_weights_move():
    model, samples = small_model(), random_samples()
    samples[0].advantages[samples[0].action_mask] = np.inf
    before = {name: p.clone() for name, p in model.named_parameters()}
    with pytest.raises(FloatingPointError, match="got one of norm"):
        Learner(model, loss=ON_POLICY).update(samples)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_two_samples_of_one_origin_are_refused():
    samples = random_samples()
    with pytest.raises(ValueError, match=r"got \(group, episode, turn\) \(0, 0, 0\) twice"):
        Learner(small_model(), loss=ON_POLICY).update([*samples, samples[0]])


def test_a_frozen_model_is_refused():
    with pytest.raises(ValueError, match="all are frozen"):
        Learner(small_model().requires_grad_(False))
