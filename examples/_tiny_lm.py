"""A language model small enough to be trained from nothing on a CPU core: its words, its layers, its cache.

`train_gigpo.py` trains it. Shapes: B conversations, T or L tokens of each.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.types import Completion, Finish

PAD, END, ASK, UNKNOWN = range(4)
CONTEXT = 1536
"""Tokens that fit in a conversation: 50 turns in a large room take about 1,000."""


class Words:
    """A word-level tokenizer; a thing and its number ("mug 1") are one word, articles and commas carry nothing.

    Every word has a kind ("mug") and a number (1), from which the model composes its embedding: what it learns about
    mugs holds for all of them.
    """

    pattern = re.compile(r"(?:\ba )?(\b[a-z]+ \d+|[\w/]+|[.?!:])")

    def __init__(self, texts: Iterable[str]) -> None:
        found = {word for text in texts for word in self.pattern.findall(text.lower())}
        largest: dict[str, int] = {}
        for kind, _, number in (word.partition(" ") for word in found):
            if number:
                largest[kind] = max(largest.get(kind, 0), int(number))
        found |= {f"{kind} {i}" for kind, n in largest.items() for i in range(1, n + 1)}
        self.words = ["<pad>", "<end>", ">", "<unknown>", *sorted(found)]
        self.ids = {word: i for i, word in enumerate(self.words)}
        kinds = {kind: i for i, kind in enumerate(sorted({word.partition(" ")[0] for word in self.words}))}
        self.kinds = torch.tensor([kinds[word.partition(" ")[0]] for word in self.words])
        self.numbers = torch.tensor([int(word.partition(" ")[2] or 0) for word in self.words])

    def encode(self, text: str) -> list[int]:
        return [self.ids.get(word, UNKNOWN) for word in self.pattern.findall(text.lower())]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of a command; "<end>" and its like are left out."""
        return " ".join(self.words[i] for i in ids if i > UNKNOWN)


# 2. The policy ------------------------------------------------------------------------------------------------------

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries (B, T, heads, head), keys and values (B, T, head) -> (B, T, heads, head): over a batch, or over a cache."""


class Block(nn.Module):
    """A transformer layer whose heads share one key and one value (multi-query): the cache stays small."""

    def __init__(self, width: int, heads: int, head: int) -> None:
        super().__init__()
        self.heads, self.head = heads, head
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, (heads + 2) * head, bias=False)
        self.mix = nn.Linear(heads * head, width, bias=False)
        self.up, self.down = nn.Linear(width, 2 * width, bias=False), nn.Linear(2 * width, width, bias=False)
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: Tensor, rotary: Tensor, attend: Attend) -> Tensor:
        q, k, v = self.qkv(self.norm_1(x)).split([self.heads * self.head, self.head, self.head], dim=-1)
        q, k = rotate(q.unflatten(-1, (self.heads, self.head)), rotary), rotate(k[:, :, None], rotary)[:, :, 0]
        x = x + self.mix(attend(q, k, v).flatten(2))
        out: Tensor = x + self.down(F.relu(self.up(self.norm_2(x))))
        return out


def rotate(x: Tensor, rotary: Tensor) -> Tensor:
    """Rotary positions on half of each head; the other half compares content at any distance, like the task's words."""
    cos, sin = rotary
    a, b, rest = torch.split(x, [x.shape[-1] // 4, x.shape[-1] // 4, x.shape[-1] // 2], dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos, rest], dim=-1)


class Policy(nn.Module):
    """Two layers, a quarter of a million weights; embeddings are tied and composed of kind and number."""

    def __init__(self, words: Words, width: int = 128, layers: int = 2, heads: int = 4, head: int = 32) -> None:
        super().__init__()
        self.kind = nn.Embedding(int(words.kinds.max()) + 1, width)
        self.number = nn.Embedding(int(words.numbers.max()) + 1, width)
        self.blocks = nn.ModuleList(Block(width, heads, head) for _ in range(layers))
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, width, bias=False)
        for table in (self.kind, self.number):
            nn.init.normal_(table.weight, std=0.05)
        nn.init.eye_(self.out.weight)
        frequencies = 1000.0 ** (-torch.arange(head // 4) / (head // 4))
        angles = torch.arange(CONTEXT)[:, None] * frequencies
        self.rotary = torch.stack([angles.cos(), angles.sin()])
        self.kinds, self.numbers, self.heads, self.head = words.kinds, words.numbers, heads, head

    def table(self) -> Tensor:
        """Embeddings of all words, (words, width)."""
        table: Tensor = self.kind(self.kinds) + self.number(self.numbers)
        return table

    def forward(self, ids: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Logits (N, words) for what follows N of the tokens `ids` (B, T), given by row and column."""
        table, rotary = self.table(), self.rotary[:, : ids.shape[1], None]
        x = F.embedding(ids, table)
        for block in self.blocks:
            x = block(x, rotary, causal_attention)
        return self.logits(x[rows, columns], table)

    def logits(self, x: Tensor, table: Tensor) -> Tensor:
        """What the last layer says about the next word: (N, width) to (N, words)."""
        logits: Tensor = self.out(self.norm(x)) @ table.T
        return logits


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention within a batch of whole conversations."""
    q, k, v = q.transpose(1, 2), *(s[:, None].expand(-1, q.shape[2], -1, -1) for s in (k, v))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)


class Sampler:
    """The policy in many conversations at once; it keeps the keys and values of those that are going on."""

    def __init__(self, policy: Policy, conversations: int, generator: torch.Generator | None = None) -> None:
        """Sample with `generator` at temperature 1, or play greedily without one."""
        self.policy, self.generator, self.table = policy, generator, policy.table().detach()
        self.cache = torch.zeros(2, len(policy.blocks), conversations, CONTEXT, policy.head)

    def begin(self, conversations: int) -> None:
        self.length = torch.zeros(conversations, dtype=torch.long)
        self.unread: list[list[int]] = [[]] * conversations  # last token of each answer: sampled, but not in the cache

    @torch.inference_mode()
    def answer(self, kept: list[int], prompts: list[list[int]], limit: int = 8) -> list[Completion]:
        """Answer the conversations that go on: `kept` are their places in the batch of the last call."""
        if len(kept) < len(self.length):  # finished conversations leave the batch, so nothing is computed for them
            longest = int(self.length.max())
            self.cache[:, :, : len(kept), :longest] = self.cache[:, :, kept, :longest]
            self.length = self.length[kept]
        new = [self.unread[i] + prompt for i, prompt in zip(kept, prompts, strict=True)]
        counts = torch.tensor([len(tokens) for tokens in new])
        ids = torch.tensor([tokens + [PAD] * (int(counts.max()) - len(tokens)) for tokens in new])
        going = torch.ones(len(kept), dtype=torch.bool)
        spoken: list[tuple[Tensor, Tensor, Tensor]] = []  # token, its log-probability, whether it counts; all (B,)
        while going.any() and len(spoken) < limit:
            logprobs = self.read(ids, counts).log_softmax(-1)
            if self.generator is None:
                token = logprobs.argmax(-1)
            else:
                uniform = torch.rand(len(kept), 1, generator=self.generator)
                token = (logprobs.exp().cumsum(-1) < uniform).sum(-1).clamp_max(logprobs.shape[1] - 1)
            spoken.append((token, logprobs.gather(1, token[:, None])[:, 0], going))
            going = going & (token != END)
            ids, counts = token[:, None], going.long()
        columns = [torch.stack(column, dim=1).tolist() for column in zip(*spoken, strict=True)]
        answers = []
        for prompt, tokens, logps, used in zip(prompts, *columns, strict=True):
            n = sum(used)
            finish: Finish = "stop" if tokens[n - 1] == END else "length"
            answers.append(
                Completion(
                    prompt_ids=tuple(prompt), token_ids=tuple(tokens[:n]), logprobs=tuple(logps[:n]), finish=finish
                )
            )
        self.unread = [[a.token_ids[-1]] for a in answers]
        return answers

    def read(self, ids: Tensor, counts: Tensor) -> Tensor:
        """Append the first `counts` (B,) tokens of each row of `ids` (B, L); return logits (B, words) for the next one.

        What is computed beyond a row's count lies in the cache beyond its length: hidden, and overwritten next time.
        """
        policy, (B, L) = self.policy, ids.shape  # noqa: N806  sizes are named like the suffixes
        places = self.length[:, None] + torch.arange(L)
        total = int(places.max()) + 1
        hidden = torch.zeros(B, L, total).masked_fill_(torch.arange(total) > places[:, :, None], -math.inf)
        mask = hidden[:, :, None].expand(-1, -1, policy.heads, -1).reshape(B, 1, -1, total)
        rows, rotary = torch.arange(B)[:, None], policy.rotary[:, places, None]
        x = F.embedding(ids, self.table)
        for layer, block in enumerate(policy.blocks):

            def attend(q: Tensor, k: Tensor, v: Tensor, cache: Tensor = self.cache[:, layer]) -> Tensor:
                cache[0, rows, places], cache[1, rows, places] = k, v
                k, v = cache[:, :B, None, :total]
                return F.scaled_dot_product_attention(q.reshape(B, 1, -1, policy.head), k, v, mask).view(q.shape)

            x = block(x, rotary, attend)
        self.length = self.length + counts
        return policy.logits(x[torch.arange(B), counts - 1], self.table)


class Optimiser:
    """Muon for the matrices inside the layers, AdamW for embeddings and the rest."""

    def __init__(self, policy: Policy, rate: float) -> None:
        """Learn with this rate; embeddings with a quarter of it, by AdamW."""
        inner = [weight for weight in policy.blocks.parameters() if weight.ndim == 2]
        outer = [weight for weight in policy.parameters() if all(weight is not other for other in inner)]
        self.rate, self.weights = rate, [*inner, *outer]
        self.parts = (torch.optim.Muon(inner, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
                      torch.optim.AdamW(outer, weight_decay=0.0, betas=(0.9, 0.98)))  # fmt: skip

    def step(self, factor: float) -> None:
        """Take one step with the gradients there are, at `factor` times the rate, and clear them."""
        nn.utils.clip_grad_norm_(self.weights, 1.0)
        for part, share in zip(self.parts, (1.0, 0.25), strict=True):
            part.param_groups[0]["lr"] = self.rate * factor * share
            part.step()
            part.zero_grad()
