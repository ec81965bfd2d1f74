"""The three estimators against hand values and against the divergence itself."""

import pytest
import torch

from trainers.losses.base import KlEstimator
from trainers.losses.kl import kl_estimate

P = torch.tensor([0.7, 0.3], dtype=torch.float64)
Q = torch.tensor([0.5, 0.5], dtype=torch.float64)


# d = −1 − (−1.5) = 0.5: k1 = 0.5, k2 = 0.125, k3 = e^−0.5 − 1 + 0.5 = 0.106531
@pytest.mark.parametrize(("estimator", "expected"), [("k1", 0.5), ("k2", 0.125), ("k3", 0.106531), ("k3+", 0.106531)])
def test_one_token(estimator, expected):
    assert kl_estimate(torch.tensor([-1.0]), torch.tensor([-1.5]), estimator).item() == pytest.approx(
        expected, abs=1e-6
    )


# Σ p·log(p/q) = 0.7·log 1.4 + 0.3·log 0.6 = 0.0822829; k2: 0.7·0.336472²/2 + 0.3·0.510826²/2 = 0.0787662
@pytest.mark.parametrize(("estimator", "expected"), [("k1", 0.0822829), ("k2", 0.0787662), ("k3", 0.0822829)])
def test_expectation_over_tokens(estimator, expected):
    assert (P * kl_estimate(P.log(), Q.log(), estimator)).sum().item() == pytest.approx(expected, abs=1e-7)


def test_gradients_in_expectation():
    # Σ p·∇k over the logits of p: k1 pulls nowhere; k2's is the gradient of KL(p‖q), p_i·(log(p_i/q_i) − KL):
    # 0.7·(0.336472 − 0.082283) = 0.177932 and its opposite; k3's, p_i·(1 − q_i/p_i) minus its mean 0: 0.7 − 0.5.
    expected: dict[KlEstimator, list[float]] = {
        "k1": [0.0, 0.0],
        "k2": [0.177932, -0.177932],
        "k3": [0.2, -0.2],
        "k3+": [0.177932, -0.177932],  # the value of k3
    }
    for estimator, gradient in expected.items():
        logits = P.log().clone().requires_grad_()
        (P * kl_estimate(logits.log_softmax(0), Q.log(), estimator)).sum().backward()
        assert logits.grad is not None
        assert logits.grad.tolist() == pytest.approx(gradient, abs=1e-6)


def test_k3_stays_finite_far_from_the_reference():
    far = kl_estimate(torch.tensor([-100.0, 0.0]), torch.tensor([0.0, -100.0]), "k3")
    assert torch.isfinite(far).all()


def test_an_unknown_estimator_is_refused():
    with pytest.raises(ValueError, match=r"a KL estimator out of .*, got 'k4'"):
        kl_estimate(torch.zeros(1), torch.zeros(1), "k4")  # type: ignore[arg-type]  # what is refused
