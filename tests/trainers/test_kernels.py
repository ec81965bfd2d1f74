"""Fused kernels: where they can't be had it is said why, and where they can they compute the same."""

import copy
import importlib.util

import pytest
import torch

from agent_gym.errors import BadOptionError, MissingExtraError
from tests.trainers.small_model import random_samples, small_model
from trainers.kernels import fuse, require_liger
from trainers.learner import Learner
from trainers.logprobs import action_logprobs, make_batch
from trainers.settings import LearnerSettings

INSTALLED = importlib.util.find_spec("liger_kernel") is not None


def test_a_cpu_is_refused():
    with pytest.raises(BadOptionError, match=r'learner.kernels = "liger" needs a GPU, .* the model is on cpu'):
        Learner(small_model(), LearnerSettings(kernels="liger"))
    with pytest.raises(ValueError, match="expected kernels to be one of"):
        LearnerSettings(kernels="cutlass")  # type: ignore[arg-type]  # the point


@pytest.mark.skipif(INSTALLED, reason="Liger is installed")
def test_the_extra_is_named_where_it_is_missing():
    with pytest.raises(MissingExtraError, match=r"pip install 'agent-gym\[liger\]'"):
        require_liger(torch.device("cuda"))


@pytest.mark.skipif(not (INSTALLED and torch.cuda.is_available()), reason="needs a GPU and liger-kernel")
def test_they_compute_the_same():
    plain = small_model().cuda()
    fused = copy.deepcopy(plain)
    fuse(fused)
    batch = make_batch(random_samples(), "cuda")
    found = []
    for model in (plain, fused):
        logprobs_n, _ = action_logprobs(model, batch)
        logprobs_n.sum().backward()
        found.append([logprobs_n.detach(), *(weight.grad for weight in model.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    assert "Liger" in type(fused.model.norm).__name__ or "liger" in fused.model.norm.forward.__module__
