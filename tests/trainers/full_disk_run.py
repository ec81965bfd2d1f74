"""A run on a small file system that fills up twice: python -m tests.trainers.full_disk_run MODEL MOUNT_POINT OUTPUT.

It needs the right to mount; the test gives it that.
"""

import contextlib
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

from tests.trainers.corridor import corridor, small_config
from trainers.callbacks import TrainerCallback
from trainers.checkpoint import list_checkpoints, load
from trainers.policies.hf import HfPolicy
from trainers.policies.load import load_model
from trainers.train import Trainer


class Fill(TrainerCallback):
    """Somebody else's file takes all that is left, at an event of an iteration."""

    def __init__(self, file: Path, event: str, iteration: int) -> None:
        self.file, self.event, self.iteration = file, event, iteration

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("on_") and name == self.event:
            return self.fill
        return super().__getattribute__(name)

    def fill(self, config: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.iteration == self.iteration:
            with contextlib.suppress(OSError), self.file.open("wb", buffering=0) as file:
                while file.write(bytes(4096)):
                    pass


def main(model: Path, disk: Path, output: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "none", disk], check=True)
    config = small_config(disk / "run")
    # After iteration 1, before its checkpoint; then while iteration 2 is played, before its metrics.
    for event, iteration in (("on_step_end", 2), ("on_rollout", 2), ("", 0)):
        filler = Fill(disk / "filler", event, iteration)
        env = corridor(config.env.num_envs, max_episode_steps=3)
        try:
            trainer = Trainer(
                config,
                env=env,
                policy=HfPolicy(*load_model(model)),
                callbacks=[filler],
                resume=(disk / "run").exists(),
            )
            trainer.train()
        except OSError as error:
            sys.stdout.write(f"{error}\n")
            filler.file.unlink()
            whole = [load(path).step for path in list_checkpoints(disk / "run" / "checkpoints")]
            sys.stdout.write(f"whole: {whole}\n")
    shutil.copy(disk / "run" / "metrics.jsonl", output)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*map(Path, sys.argv[1:]))
