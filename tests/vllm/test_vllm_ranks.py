"""Ranks that torchrun has started, each with an engine of its own: the way of the published experiments, on CPUs."""

import pytest

pytest.importorskip("vllm", reason="`make test-vllm` installs it in an environment of its own")

from tests.vllm.runs import train


def test_two_ranks_play_with_engines_of_their_own_and_learn_in_pieces(root, tmp_path):
    words = ["--iterations", "2", "--evaluation.split", "test", "--evaluation.tasks", "4"]
    words += ["--learner.sharding", "fsdp2", "--learner.gradient-checkpointing", "--learner.logit-chunk", "16"]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    played = train(root, tmp_path, *words, launcher=torchrun)
    assert [line["iteration"] for line in played] == [0, 1]
    for line in played:
        assert line["rollout/failed"] == 0
        # Over the samples of both ranks: in the second iteration each engine has the update's weights.
        assert line["learner/importance_weight"] == pytest.approx(1.0, abs=1e-4)
        assert line["learner/sampler_difference_max"] < 2e-5
    assert played[1]["learner/kl"] > 1e-3, "the update has moved them"
