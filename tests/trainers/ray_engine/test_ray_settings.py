"""What is refused before anything starts, and what needs no Ray."""

import socket
import sys
from typing import Any

import numpy as np
import pytest

from agent_gym.errors import BadOptionError, MissingExtraError
from tests.trainers.corridor import small_config
from tests.trainers.small_model import random_group
from trainers.config import config_from_table
from trainers.ray_engine.cluster import load_ray, running
from trainers.ray_engine.run import check
from trainers.ray_engine.worker import stamped
from trainers.train import Trainer


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'agent-gym\[ray\]'"):
        load_ray()


def test_auto_is_the_cluster_that_was_started_here_if_it_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert running() == ""  # no note of one
    note = tmp_path / "ray" / "ray_current_cluster"
    note.parent.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        note.write_text(f"{address}\n")
        assert running() == address
    assert running() == ""
    note.write_text("nonsense")
    assert running() == ""
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")  # somebody knows better
    assert running() == "10.0.0.1:6379"


def test_what_does_not_go_together_with_ray_is_refused(tmp_path):
    check(small_config(tmp_path, processes=1))
    with pytest.raises(BadOptionError, match=r"--processes must be left out with --ray, got 2"):
        check(small_config(tmp_path, processes=2))
    with pytest.raises(BadOptionError, match="a tabular policy is trained in one process"):
        check(small_config(tmp_path, model={"path": "tabular"}))
    refused: tuple[dict[str, Any], ...] = (
        {"players": {"learn": "per-role"}},
        {"players": {"roles": {"second": "expert"}}},
        {"self_play": {}},
    )
    for changes in refused:
        with pytest.raises(BadOptionError, match="players and self_play must be left out with --ray"):
            check(small_config(tmp_path, **changes))


def test_a_trainer_in_this_process_takes_no_address(tmp_path):
    with pytest.raises(BadOptionError, match=r"ray\.address must be empty where this process trains, got 'auto'"):
        Trainer(small_config(tmp_path, ray={"address": "auto"}), env=None, policy={})


@pytest.mark.parametrize(
    ("name", "value"),
    [("workers", 0), ("learners", 0), ("worker_cpus", -1.0), ("staleness", -1), ("play_timeout_s", 0.0)],
)
def test_settings_that_mean_nothing_are_refused(name, value):
    with pytest.raises(BadOptionError, match=name):
        config_from_table({"ray": {name: value}})


def test_every_completion_carries_the_version_of_its_weights():
    group = random_group("task", np.random.default_rng(0))
    assert {turn.completion.version for episode in group.episodes for turn in episode.turns} == {None}
    versions = [turn.completion.version for episode in stamped(group, 3).episodes for turn in episode.turns]
    assert versions == [3] * sum(len(episode.turns) for episode in group.episodes)
