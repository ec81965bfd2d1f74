"""What Ray's tests share: that there is one cluster at a time, and a run without Ray to compare with."""

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trainers.corridor import tiny_model
from tests.trainers.ray_engine.ray_runs import configure


@pytest.fixture(scope="package", autouse=True)
def alone(tmp_path_factory) -> Iterator[None]:
    """One cluster at a time, also where tests run side by side: `auto` would join any that it finds."""
    root = tmp_path_factory.getbasetemp().parent
    with (root / "ray.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="package")
def model(tmp_path_factory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="package")
def plain(model, tmp_path_factory) -> Path:
    """The run of one process, without Ray."""
    from trainers.cli import make_envs
    from trainers.commands import load_policy
    from trainers.train import Trainer

    config = configure(model, tmp_path_factory.mktemp("runs") / "plain")
    Trainer(config, env=make_envs(config.env), policy=load_policy(config.model, trained=True)).train()
    return Path(config.output_dir)
