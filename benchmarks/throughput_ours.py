"""Our trainer at the work, whole and with its savings taken away one by one.

Nothing in the library is switched off: what a naive trainer would do is done here, around its public pieces.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agent_gym import SlotEnv
from benchmarks.throughput_work import Clock, MeteredSlots, Sizes
from trainers.assign import assign_credit
from trainers.callbacks import TrainerCallback
from trainers.config import EnvConfig, OutputConfig, RolloutConfig, TrainConfig
from trainers.credit import Grpo
from trainers.learner import Learner
from trainers.losses.ppo import PpoLoss
from trainers.policies.base import Codec, Policy, Request, Sampling, random_stream
from trainers.policies.draw import draw
from trainers.policies.hf import HfPolicy, load_policy
from trainers.rollout import play
from trainers.samples import Context, Sample, build_samples
from trainers.settings import LearnerSettings
from trainers.streams import stream
from trainers.train import Trainer
from trainers.types import Completion, Group


class MeteredPolicy(HfPolicy):
    """A policy whose time is taken."""

    clock: Clock

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer."""
        before = self.tokens_processed
        with self.clock.part("generation"):
            completions = super().complete(requests)
        self.clock.counts["generated"] += self.tokens_processed - before
        return completions


class _Meter(TrainerCallback):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._clock.begin()

    def on_log(self, *_: Any, **details: Any) -> None:
        logs: dict[str, float] = details["logs"]
        for name in ("read", "sampled", "wasted"):
            there = {"read": "prompt", "sampled": "generated"}.get(name, name)
            self._clock.counts[name] += round(logs[f"rollout/{there}_tokens"])
        self._clock.counts["learnt"] += round(logs["learner/tokens"])
        self._clock.counts["padding"] += round(logs["learner/tokens"] / (1 - logs["learner/padding"]))

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self._clock.end()


def train(
    model: Path, slots: SlotEnv, context: Context, settings: Sizes, clock: Clock, output: Path, *, ends: bool
) -> None:
    """Run the trainer as anyone would; without `ends` no token ends an answer."""
    loaded = load_policy(model)
    policy = MeteredPolicy(loaded.model, loaded.tokenizer)
    policy.clock = clock
    if not ends:
        policy.codec.end_ids = frozenset()
    config = TrainConfig(
        env=EnvConfig(split="generated_train", context=context),
        rollout=RolloutConfig(
            groups=settings.groups,
            group_size=settings.group_size,
            max_new_tokens=settings.max_new_tokens,
            max_turns=settings.max_turns,
        ),
        credit=Grpo(),
        loss=PpoLoss(kl_weight=settings.kl_weight),
        learner=LearnerSettings(learning_rate=settings.learning_rate),
        output=OutputConfig(save_steps=10**6, report_to=()),
        iterations=settings.iterations,
        output_dir=str(output),
    )
    Trainer(config, env=MeteredSlots(slots, clock), policy=policy, callbacks=[_Meter(clock)]).train()


# Naive ways -----------------------------------------------------------------------------------------------------------


class Around:
    """A policy in front of another one."""

    needs_expert = False

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.context_limit: int = inner.context_limit
        self.tokens_processed = 0  # the inner one counts

    @property
    def codec(self) -> Codec:
        """That of the other one."""
        codec: Codec = self.inner.codec
        return codec

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer as the other one does."""
        completions: list[Completion] = self.inner.complete(requests)
        return completions

    def release(self, sessions: Iterable[int]) -> None:
        """Release there."""
        self.inner.release(sessions)


class Recompute(Around):
    """Forgets between turns: every turn's prompt is the whole conversation."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._texts: dict[int | None, tuple[int, ...]] = {}

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer the whole conversations."""
        for request in requests:
            self._texts[request.session] = self._texts.get(request.session, ()) + request.prompt_ids
        whole = [replace(one, prompt_ids=self._texts[one.session], session=None) for one in requests]
        completions = self.inner.complete(whole)
        for request, completion in zip(requests, completions, strict=True):
            self._texts[request.session] += completion.token_ids
        return [
            replace(completion, prompt_ids=request.prompt_ids)
            for request, completion in zip(requests, completions, strict=True)
        ]

    def release(self, sessions: Iterable[int]) -> None:
        """Forget conversations."""
        for session in sessions:
            del self._texts[session]


class LockStep(Around):
    """Goes on asking for episodes that have ended, until the last one has; their answers are thrown away."""

    def __init__(self, inner: Any, clock: Clock) -> None:
        super().__init__(inner)
        self._clock = clock
        self._last: dict[int, Request] = {}
        self._ended: set[int] = set()

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer these, and those that have ended once more with the last message they were sent."""
        for request in requests:
            assert request.session is not None, "conversations only"
            self._last[request.session] = request
        ghosts = [self._last[session] for session in sorted(self._ended)]
        completions: list[Completion] = self.inner.complete([*requests, *ghosts])
        self._clock.counts["wasted"] += sum(len(one.token_ids) for one in completions[len(requests) :])
        return completions[: len(requests)]

    def release(self, sessions: Iterable[int]) -> None:
        """Release all when all have ended."""
        self._ended.update(sessions)
        if self._ended == self._last.keys():
            self.inner.release(sorted(self._ended))
            self._last.clear()
            self._ended.clear()


class Generate(Around):
    """`generate` of transformers in place of our sampler: padded, nothing shared, and on until the longest has ended.

    Tokens are drawn from the same streams, so it gives the answers that we give.
    """

    def __init__(self, inner: HfPolicy, clock: Clock) -> None:
        super().__init__(inner)
        self._clock = clock

    @torch.inference_mode()
    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer whole prompts of one length limit."""
        from transformers import LogitsProcessorList

        most = max(len(request.prompt_ids) for request in requests)
        ids = torch.tensor([[0] * (most - len(one.prompt_ids)) + list(one.prompt_ids) for one in requests])
        mask = torch.tensor([[0] * (most - len(one.prompt_ids)) + [1] * len(one.prompt_ids) for one in requests])
        room = requests[0].sampling.max_new_tokens
        uniforms = torch.from_numpy(np.stack([random_stream(one.seed, room) for one in requests]))
        found: list[torch.Tensor] = []

        def pick(before: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
            tokens, logprobs = draw(logits, uniforms[:, before.shape[1] - most], [1.0] * len(logits))
            found.append(logprobs)
            return torch.full_like(logits, -torch.inf).scatter_(1, tokens[:, None], 0.0)

        ends = sorted(self.codec.end_ids)
        began = self._clock.part("generation")
        with began:
            made = self.inner.model.generate(
                ids,
                attention_mask=mask,
                do_sample=False,
                max_new_tokens=room,
                logits_processor=LogitsProcessorList([pick]),
                eos_token_id=ends,
                pad_token_id=0,
            )[:, most:]
        self._clock.counts["generated"] += made.numel() + ids.numel()
        logprobs = torch.stack(found, dim=1).tolist()
        completions = []
        for request, tokens, theirs in zip(requests, made.tolist(), logprobs, strict=True):
            length = next((at + 1 for at, token in enumerate(tokens) if token in ends), len(tokens))
            completions.append(
                Completion(
                    prompt_ids=request.prompt_ids, token_ids=tuple(tokens[:length]), logprobs=tuple(theirs[:length])
                )
            )
        self._clock.counts["wasted"] += made.numel() - sum(len(one.token_ids) for one in completions)
        return completions


def padded(samples: Sequence[Sample]) -> list[Sample]:
    """Samples as a trainer learns from them that pads a batch to its longest, as TRL does: padding in place of text."""
    longest = max(map(len, samples))

    def widen(values: Any) -> Any:
        return np.pad(values, (0, longest - len(values)))

    return [
        replace(
            sample,
            ids=widen(sample.ids),
            action_mask=widen(sample.action_mask),
            old_logprobs=widen(sample.old_logprobs),
            advantages=widen(sample.advantages),
        )
        for sample in samples
    ]


def iteration(
    policy: Policy,
    learner: Learner,
    slots: SlotEnv,
    tasks: Sequence[str],
    number: int,
    settings: Sizes,
    clock: Clock,
    *,
    pad: bool,
) -> list[Group]:
    """One iteration in conversations, without the rest of the trainer; returns what was played."""
    clock.begin()
    groups, stats = play(
        policy,
        MeteredSlots(slots, clock),
        tasks,
        group_size=settings.group_size,
        sampling=Sampling(max_new_tokens=settings.max_new_tokens),
        context="conversation",
        seed=stream(0, number),
        max_turns=settings.max_turns,
    )
    credited = [assign_credit(Grpo(), group) for group in groups]
    samples = build_samples([one.group for one in credited], [one.advantages for one in credited], "conversation")
    real = sum(map(len, samples))
    metrics = learner.update(padded(samples) if pad else samples)
    clock.counts["read"] += stats.prompt_tokens
    clock.counts["sampled"] += stats.generated_tokens
    clock.counts["learnt"] += real
    clock.counts["padding"] += round(metrics["tokens"] / (1 - metrics["padding"]))
    clock.end()
    return groups
