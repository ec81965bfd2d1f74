"""Ranks that torchrun has started, as it starts one per GPU: a killed one is made good by torchrun and `--resume`."""

import os
import subprocess
import sys
from pathlib import Path

from tests.trainers.corridor import tiny_model
from tests.trainers.ray_engine.ray_runs import check_same, configure, lines_of
from trainers.cli import main
from trainers.config import TrainConfig, to_toml

PROGRAM = "import sys; from trainers.cli import main; sys.exit(main(sys.argv[1:]))\n"


def words_for(config: TrainConfig, directory: Path) -> list[str]:
    file = directory / f"{Path(config.output_dir).name}.toml"
    file.write_text(to_toml(config))
    return ["train", str(file), "--resume", config.output_dir]  # where there is no run yet, it begins one


def test_a_rank_that_is_killed_comes_back_and_the_run_is_as_if_nothing_had_happened(root, tmp_path):
    model, accidents, program = tiny_model(tmp_path / "model"), tmp_path / "accidents", tmp_path / "program.py"
    accidents.mkdir()
    program.write_text(PROGRAM)
    plain, run = tmp_path / "plain", tmp_path / "run"
    assert main(words_for(configure(model, plain, accidents, processes=1), tmp_path)) == 0
    # The second group of the third iteration, which the second rank plays. Weights are in pieces, as in the recipes.
    (accidents / "kill").write_text(lines_of(plain, "episodes.jsonl")[15]["task"])
    words = words_for(configure(model, run, accidents, learner={"sharding": "fsdp2"}), tmp_path)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["--max-restarts", "1", str(program), *words]
    env = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=env, cwd=root, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (accidents / "kill.done").exists()
    check_same(run, plain)
