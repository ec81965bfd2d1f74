"""GSPO: Group Sequence Policy Optimization (Zheng et al., 2025; arXiv 2507.18071).

A ratio per token weighs each token by one draw, which corrects nothing and adds noise; over a long answer the noise
adds up, most of all where a mixture of experts routes differently after an update. The reward belongs to the whole
answer, so its ratio does too: the geometric mean over the answer's tokens,

    s_i   = exp(mean_t(logprob_t − old_logprob_t))
    L_i   = −min(s_i·A_i, clip(s_i, 1 − clip_low, 1 + clip_high)·A_i)          averaged over samples

    token form    s_it = exp(sg(mean_t(…)) + logprob_t − sg(logprob_t)),  L_it the same with A_it

Both have the same value and, where a sample has one advantage, the same gradient. The token form keeps the advantages
of the turns of a conversation apart, where the sequence form lets each push all of its tokens. Here both give a value
per token, whose mean over the sample is L_i. A sample is a turn in step context and an episode in a conversation: a
ratio over a whole episode says little about a turn of it.

The mean makes the ratio a number very near to 1, so the limits are three orders smaller than PPO's. log s is held
to at most 10. It fails where answers have one or two tokens, whose ratios these limits clip nearly all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from trainers.credit.numerics import check_choice, check_range
from trainers.losses.base import Aggregation, LossSettings, TokenLoss, Tokens, row_mean
from trainers.losses.ppo import clipped

Form = Literal["sequence", "token"]


@dataclass(frozen=True, kw_only=True)
class GspoLoss(LossSettings):
    """A clipped ratio per sample instead of per token. The limits are from memory of the paper, unchecked."""

    aggregation: Aggregation = "sequence-mean"
    """The paper averages over samples; token-mean weighs each by its length."""
    clip_low: float = 3e-4
    """The ratio of a sample is clipped below at 1 − clip_low."""
    clip_high: float = 4e-4
    """The ratio of a sample is clipped above at 1 + clip_high."""
    form: Form = "token"
    """token: each token is pushed by its own advantage. sequence: each advantage pushes all tokens of its sample."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        LossSettings.__post_init__(self)
        check_range("clip_low", self.clip_low, 0, 1)
        check_range("clip_high", self.clip_high, 0)
        check_choice("form", self.form, get_args(Form))

    def per_token(self, tokens: Tokens, /) -> TokenLoss:
        """The loss of each token, by the ratio of its sample."""
        log_s_n = row_mean(tokens.logprobs_n - tokens.old_logprobs_n.detach(), tokens)
        if self.form == "token":
            log_s_n = log_s_n.detach() + tokens.logprobs_n - tokens.logprobs_n.detach()
        return clipped(log_s_n.clamp(max=10.0).exp(), tokens.advantages_n, self.clip_low, self.clip_high)
