"""A sampler that is not quite the policy that is learnt."""

from torch import Tensor


def importance_weights(learner_logprobs_n: Tensor, sampler_logprobs_n: Tensor, cap: float) -> Tensor:
    """Weight of each token for the sampler not being quite the policy that is learnt, without gradient.

        w = min(exp(learner_logprob − sampler_logprob), cap)

    Two programs, or two precisions, give the same weights slightly different probabilities. The loss is an average over
    what the sampler drew, so each token is weighed by how much likelier the learner finds it (truncated importance
    sampling); the cap bounds the variance at the price of a small bias.

    Args:
        learner_logprobs_n: Of the weights that sampled, computed by the learner.
        sampler_logprobs_n: Of the same weights, as the sampler gave them.
        cap: Largest weight, 1 or more.
    """
    return (learner_logprobs_n - sampler_logprobs_n).detach().clamp(-20.0, 20.0).exp().clamp(max=cap)
