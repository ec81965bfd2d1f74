"""Rollout workers of a Ray cluster, each with a real engine of its own, and a learner that sends them its weights."""

import importlib
from collections.abc import Iterator

import pytest

pytest.importorskip("vllm", reason="`make test-vllm` installs it in an environment of its own")
pytest.importorskip("ray", reason="`make test-vllm` installs it beside vLLM")

from tests.vllm.runs import train
from trainers.ray_engine.cluster import load_ray


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a cluster of this test's own: `auto` would join any that runs on this machine."""
    load_ray()  # with its settings
    cluster_utils = importlib.import_module("ray.cluster_utils")
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 3, "include_dashboard": False})
    yield cluster.address
    cluster.shutdown()


@pytest.mark.parametrize("staleness", [0, 1])
def test_workers_play_with_engines_of_their_own(root, tmp_path, address, staleness):
    words = ["--iterations", "3", "--ray", address, "--ray.workers", "2", "--ray.staleness", str(staleness)]
    played = train(root, tmp_path, *words)
    assert [line["iteration"] for line in played] == [0, 1, 2]
    for line in played:
        assert line["rollout/failed"] == 0
        same = not staleness or line["iteration"] == 0
        # An engine's weights are the learner's, or those of one update before.
        assert (line["learner/sampler_difference_max"] < 2e-5) == same
        assert line["learner/importance_weight"] == pytest.approx(1.0, abs=1e-4 if same else 0.5)
    assert played[-1]["learner/kl"] > 1e-3, "the updates have moved them"
