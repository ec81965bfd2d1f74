"""Memory of log-probabilities and their gradient, with and without `learner.logit_chunk`, at the vocabulary of Qwen2.5.

python -m benchmarks.bench_logits

One micro-batch goes forward and backward through a model of one narrow layer, so that logits are nearly all there is.
What is told is how far the process grows meanwhile (Linux: the peak of its resident memory, set back before each pass),
and beside it what a plan says of the logits (`agent-gym plan`: 16 bytes each in float32).
"""

import ctypes
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from trainers.logprobs import Batch, action_logprobs, make_batch
from trainers.parallel import limit_threads
from trainers.samples import Sample

VOCABULARY, HIDDEN = 151_936, 64
ROWS, LENGTH = 8, 72
"""Samples of a prompt of 8 tokens and an answer of 64."""
CHUNKS = (None, 128, 32)
PER_LOGIT = 16
M_MMAP_THRESHOLD = -3
"""Of malloc.h: the size from which on memory is asked for, and given back, by itself."""


def make_model() -> Any:
    """A model with the vocabulary of Qwen2.5, and little else."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=128,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    model: Any = Qwen2ForCausalLM(config)
    return model.eval()


def make_samples() -> Batch:
    """Random tokens, as one micro-batch."""
    rng = np.random.default_rng(0)
    mask = np.arange(LENGTH) >= LENGTH - 64
    return make_batch(
        [
            Sample(
                ids=rng.integers(0, VOCABULARY, LENGTH),
                action_mask=mask,
                old_logprobs=np.zeros(LENGTH, dtype=np.float32),
                advantages=mask.astype(np.float32),
                group=row,
                episode=0,
                turn=0,
            )
            for row in range(ROWS)
        ]
    )


def memory_bytes(field: str) -> int:
    """A line of what Linux says of this process: VmRSS is what it has in memory, VmHWM the most it had."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def measure(model: Any, batch: Batch, chunk: int | None) -> tuple[float, float, float]:
    """Bytes that a pass takes at most, its seconds, and the sum of the log-probabilities."""
    model.zero_grad()
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak begins anew
    before, began = memory_bytes("VmRSS"), time.perf_counter()
    logprobs_n, _ = action_logprobs(model, batch, logit_chunk=chunk)
    loss: Any = -(batch.advantages_n * logprobs_n).sum()
    loss.backward()
    return memory_bytes("VmHWM") - before, time.perf_counter() - began, logprobs_n.sum().item()


def main() -> None:
    """Measure, and print a table."""
    limit_threads()
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 2**20)  # what is freed goes back at once, and is not kept for later
    model, batch = make_model(), make_samples()
    tokens = len(batch.row_n)
    measure(model, batch, 16)  # what is made once
    print(f"{tokens} action tokens, vocabulary {VOCABULARY:,}, float32\n")
    print(f"{'logit_chunk':>12} {'MiB at most':>12} {'planned':>8} {'ratio':>6} {'s':>6} {'log-probability':>16}")
    first = None
    for chunk in CHUNKS:
        took, seconds, total = measure(model, batch, chunk)
        first = first or took
        planned = min(chunk or tokens, tokens) * VOCABULARY * PER_LOGIT
        print(
            f"{chunk or 'none':>12} {took / 2**20:>12,.0f} {planned / 2**20:>8,.0f} {first / took:>6.1f} "
            f"{seconds:>6.1f} {total:>16.4f}"
        )


if __name__ == "__main__":
    main()
