"""`agent-gym train --ray auto` where no cluster is running: it starts one, and ends it."""

import importlib.util

import pytest

from tests.trainers.ray_engine.ray_runs import check_same, configure, processes
from trainers.cli import main
from trainers.config import load_config, to_toml

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs Ray: pip install 'agent-gym[ray]'"
)


def test_the_command_starts_a_cluster_and_trains_as_without_it(model, plain, tmp_path, capsys):
    run, file = tmp_path / "run", tmp_path / "run.toml"
    file.write_text(to_toml(configure(model, run)))
    assert main(["train", str(file), "--ray", "auto", "--ray.workers", "2"]) == 0
    told = capsys.readouterr().out
    assert "iteration 3:" in told
    assert f"The run is in {run}." in told
    check_same(run, plain)
    assert load_config(run / "config.toml").ray.workers == 2
    assert not processes("")
