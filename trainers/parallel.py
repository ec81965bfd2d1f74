"""Data-parallel ranks: each plays and learns on its own share, and all hold the same weights.

One process per core on a CPU, started by `trainers.processes`; one per device otherwise, started by `torchrun`. Ranks
meet in two places only: counts and metrics are summed, and so are gradients, once per optimiser step. Each rank has
divided by the counts of the whole batch by then, so the sum is the gradient of one process with all the samples,
however unequal the shares are; a rank may have more micro-batches than another, or none. That is why gradients are
summed here and not by DistributedDataParallel, which takes the mean, at every backward pass, of ranks that all have as
many of them.
"""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")

BUCKET = 2**24
"""Gradient elements summed in one message: few enough to need little memory, enough to keep the network busy."""

PATIENCE = timedelta(days=2)
"""How long a rank waits for others: while one makes a recipe's model, or plays the longest episode. A rank that has
died is noticed at once, by its closed connection."""


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """This process among its peers. The default is to be alone; then every method is a no-op."""

    rank: int = 0
    size: int = 1

    @classmethod
    def from_environment(cls) -> "Ranks":
        """Join the peers that `torchrun` started, if it did: gloo on a CPU, NCCL where there are CUDA devices.

        Call `close` at the end. A process that has joined already gets the same answer again.
        """
        if not dist.is_available():
            return cls()
        if not dist.is_initialized():
            if int(os.environ.get("WORLD_SIZE", "1")) == 1:
                return cls()
            if torch.cuda.is_available():
                torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
            backend = "nccl" if torch.cuda.is_available() else "gloo"
            meet: Any = dist  # its types leave out what it exports
            store, rank, size = next(meet.rendezvous("env://", timeout=PATIENCE))
            # The store outlives ranks that torchrun starts anew, and so would where the first ones were to be found.
            store = meet.PrefixStore(f"start {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
            dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
        return cls(rank=dist.get_rank(), size=dist.get_world_size())

    @classmethod
    def join(cls, rank: int, size: int, store: str) -> "Ranks":
        """Join the peers on this machine that meet in the file `store`, which none of them has made yet (gloo)."""
        # No other machine need reach them, and a host name that can't be looked up must not matter.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
        dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=size, timeout=PATIENCE)
        return cls(rank=rank, size=size)

    @classmethod
    def meet(cls, rank: int, size: int, place: str) -> "Ranks":
        """Join the peers that meet at `place`, HOST:PORT on rank 0's machine: NCCL where there are CUDA devices.

        gloo takes the network that a machine's own name leads to; GLOO_SOCKET_IFNAME names another one.
        """
        if place.startswith("127."):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, init_method=f"tcp://{place}", rank=rank, world_size=size, timeout=PATIENCE)
        return cls(rank=rank, size=size)

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and talks to the terminal."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> list[T]:
        """This rank's items: every `size`-th, from number `rank` on."""
        return list(items[self.rank :: self.size])

    def stretch(self, count: int) -> range:
        """This rank's run of `count` things, for what is better not dealt out one by one."""
        return range(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def gather(self, value: T) -> list[T]:
        """The values of all ranks, by rank, on all ranks. They travel as pickles, between our own processes only."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def sums(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Each number summed over all ranks, which must bring the same names; exact in float64 for counts."""
        if self.size == 1:
            return dict(numbers)
        names = sorted(numbers)
        total = torch.tensor([numbers[name] for name in names], dtype=torch.float64, device=_device())
        dist.all_reduce(total)
        return dict(zip(names, total.tolist(), strict=True))

    def any(self, mine: bool) -> bool:
        """Whether it is so on any rank; all get the same answer."""
        return self.sums({"mine": float(mine)})["mine"] > 0

    def maxima(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """The largest of each number over all ranks, which must bring the same names."""
        everyone = self.gather(dict(numbers))
        return {name: max(mine[name] for mine in everyone) for name in numbers}

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace each gradient by its sum over all ranks; every parameter must have one."""
        if self.size == 1:
            return
        with torch.no_grad():
            for bucket in _buckets(parameters):
                gradients = [parameter.grad for parameter in bucket if parameter.grad is not None]
                assert len(gradients) == len(bucket)
                flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
                dist.all_reduce(flat)
                parts = torch.split(flat, [gradient.numel() for gradient in gradients])
                for gradient, part in zip(gradients, parts, strict=True):
                    gradient.copy_(part.view_as(gradient))

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite the tensors with those of rank 0."""
        if self.size == 1:
            return
        with torch.no_grad():
            for tensor in tensors:
                dist.broadcast(tensor.data, src=0)

    def wait(self) -> None:
        """Return when all ranks have come this far."""
        if self.size > 1:
            dist.barrier()

    def close(self) -> None:
        """Leave the peers."""
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()


def _device() -> torch.device:
    return torch.device("cuda") if dist.get_backend() == "nccl" else torch.device("cpu")


def _buckets(parameters: Iterable[Tensor]) -> Iterable[list[Tensor]]:
    """Runs of parameters of one type, of about `BUCKET` elements each."""
    bucket: list[Tensor] = []
    size = 0
    for parameter in parameters:
        if bucket and (size + parameter.numel() > BUCKET or parameter.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(parameter)
        size += parameter.numel()
    if bucket:
        yield bucket


def limit_threads(threads: int | None = None) -> int:
    """Set how many threads torch uses inside an operation, in this process; the environment's OMP_NUM_THREADS wins.

    Without a number it is one: on a CPU that does anything else at the same time, two threads of one process wait for
    each other in a spin and are several times slower than one. More speed comes from more ranks.

    Returns:
        The number of threads now in use.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    elif "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    return torch.get_num_threads()
