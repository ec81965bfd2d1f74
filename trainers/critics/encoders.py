"""What a critic of whole answers reads: states and answers as vectors, or as rows and columns of a table.

    text      e(s)     the last hidden state behind all that was shown, under a frozen model
              e(s, a)  the same behind the answer to it
    a table   the numbers of the state and of the command

ArCHer trains an encoder of its own (RoBERTa) with the critic; here the encoder is the policy's model as it was at the
start, which is frozen and knows the words of the environment. A vector is then computed once and stays right for as
long as the turn is in the buffer. With an adapter that model is there anyway, under it; otherwise it is a copy.
"""

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from trainers.critics.turns import Shown, Turns
from trainers.logprobs import action_hidden, choose_precision, least_saved, make_batch
from trainers.policies.base import Policy, Request, Sampling, random_stream
from trainers.policies.draw import draw
from trainers.policies.tabular import TabularModel
from trainers.samples import Sample, split_by_prompt
from trainers.settings import LearnerSettings
from trainers.streams import stream

Ids = tuple[int, ...]


class Encoder(Protocol):
    """Turns ids into what the critic's networks take."""

    def turns(self, shown: Sequence[Shown]) -> Turns:
        """Encode turns, all of which have an end or a next state."""

    def answer_anew(self, states: Sequence[Ids], seed: int) -> tuple[list[int], Tensor]:
        """Draw an answer of the policy as it is to each state; returns the places of those answered, and actions."""


class TableEncoder:
    """States and commands of a tabular policy."""

    def __init__(self, model: TabularModel, sampling: Sampling) -> None:
        self._model = model
        self._temperature = sampling.temperature

    def turns(self, shown: Sequence[Shown]) -> Turns:
        """Encode turns: a state is its row, an action its column."""
        return Turns(
            states=self._rows([one.state for one in shown]),
            actions=torch.tensor([one.answer[-1] for one in shown], dtype=torch.long),
            next_states=self._rows([one.following or one.state for one in shown]),
            rewards=torch.tensor([one.reward for one in shown], dtype=torch.float32),
            done=torch.tensor([one.done for one in shown], dtype=torch.bool),
        )

    @torch.no_grad()
    def answer_anew(self, states: Sequence[Ids], seed: int) -> tuple[list[int], Tensor]:
        """Draw a command in each state."""
        rows = self._rows(states)
        logits = self._model.table.weight[rows] + self._model.names.mask_sc[rows]
        uniforms = torch.from_numpy(random_stream(seed, len(states)))
        ids, _ = draw(logits, uniforms, [self._temperature] * len(states))
        return list(range(len(states))), ids

    def _rows(self, states: Sequence[Ids]) -> Tensor:
        return torch.tensor([ids[-1] for ids in states], dtype=torch.long) - self._model.settings.commands


class TextEncoder:
    """Hidden states of the policy's first model.

    Args:
        policy: Answers states anew.
        model: Its model, as it is now; a copy is kept unless there is an adapter on it.
        learner: Size and precision of passes are those of the learner.
        sampling: How answers are drawn.
    """

    def __init__(self, policy: Policy, model: nn.Module, learner: LearnerSettings, sampling: Sampling) -> None:
        self._policy = policy
        self._sampling = sampling
        self._adapter_is_off = getattr(model, "disable_adapter", None)
        frozen = model if self._adapter_is_off is not None else copy.deepcopy(model).eval().requires_grad_(False)
        self._model = frozen
        self._device = next(model.parameters()).device
        self._tokens = learner.tokens_per_micro_batch
        self._autocast = choose_precision(frozen, learner.precision)
        self._least_saved = least_saved(frozen)

    def turns(self, shown: Sequence[Shown]) -> Turns:
        """Encode turns: vectors of the model's width."""
        following = [one.following or one.state[-1:] for one in shown]
        before_after = self._read([(*one.state, *one.answer) for one in shown], [len(one.state) for one in shown])
        return Turns(
            states=before_after[:, 0],
            actions=before_after[:, 1],
            next_states=self._read(following, [len(ids) for ids in following])[:, 0],
            rewards=torch.tensor([one.reward for one in shown], dtype=torch.float32),
            done=torch.tensor([one.done for one in shown], dtype=torch.bool),
        )

    def answer_anew(self, states: Sequence[Ids], seed: int) -> tuple[list[int], Tensor]:
        """Sample an answer to each state that leaves room for one."""
        requests = [
            Request(prompt_ids=ids, sampling=self._sampling, seed=stream(seed, number))
            for number, ids in enumerate(states)
        ]
        completions = self._policy.complete(requests) if requests else []
        answered = [number for number, one in enumerate(completions) if one.token_ids]
        whole = [(*states[number], *completions[number].token_ids) for number in answered]
        return answered, self._read(whole, [len(ids) for ids in whole])[:, 0]

    @torch.no_grad()
    def _read(self, rows: Sequence[Ids], firsts: Sequence[int]) -> Tensor:
        """Hidden states behind the first tokens of each row and behind all of them, on the CPU: shape (rows, 2, H)."""
        if not rows:
            return torch.zeros(0, 2, 1)
        found: dict[tuple[int, int, int], Tensor] = {}
        samples = [_marked(ids, first, number) for number, (ids, first) in enumerate(zip(rows, firsts, strict=True))]
        for part in split_by_prompt(samples, self._tokens, self._least_saved):
            batch = make_batch(part, self._device, least_saved=self._least_saved)
            with self._autocast(), self._adapter_is_off() if self._adapter_is_off is not None else nullcontext():
                hidden_nh = action_hidden(self._model, batch).float()
            normal = nn.functional.layer_norm(hidden_nh, hidden_nh.shape[-1:]).cpu()
            sizes = [int(one.action_mask.sum()) for one in part]
            for sample, mine in zip(part, torch.split(normal, sizes), strict=True):
                found[sample.key] = mine[[0, -1]]
        return torch.stack([found[sample.key] for sample in samples])


def _marked(ids: Ids, first: int, number: int) -> Sample:
    """A row in which the tokens behind `first` tokens and behind all of them are marked, to be read in front of."""
    mask = np.zeros(len(ids) + 1, dtype=np.bool_)
    mask[[first, len(ids)]] = True
    nothing = np.zeros(len(mask), dtype=np.float32)
    return Sample(
        ids=np.array((*ids, 0), dtype=np.int64),
        action_mask=mask,
        old_logprobs=nothing,
        advantages=nothing,
        group=number,
        episode=0,
        turn=0,
    )
