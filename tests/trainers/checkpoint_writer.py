"""Saves checkpoints without end, until the test kills it: python -m tests.trainers.checkpoint_writer DIRECTORY."""

import sys
from pathlib import Path

import torch

from trainers.checkpoint import State, save


class Weights:
    """A model that writes a file, in pieces."""

    def save_pretrained(self, directory: str) -> None:
        with (Path(directory) / "model.safetensors").open("wb") as file:
            for _ in range(200):
                file.write(bytes(5000))
                file.flush()


if __name__ == "__main__":
    step = 0
    while True:
        step += 1
        state = State(tensors={"count": torch.full((1000,), float(step))}, values={"count": step})
        save(Path(sys.argv[1]), step, state, model=Weights(), best=step % 3 == 0)
