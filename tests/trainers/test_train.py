"""The loop, on corridors and with a model of one layer: what it leaves behind, and that it goes on exactly."""

import dataclasses
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys

import gymnasium as gym
import pytest

from agent_gym.errors import AgentGymError, BadOptionError, MissingExtraError, UnknownSplitError
from tests.trainers.corridor import corridor, small_config, tiny_model
from tests.trainers.ray_engine.ray_runs import configure, lines_of
from trainers import train
from trainers.callbacks import TrainerCallback
from trainers.config import load_config, to_toml
from trainers.policies.base import ModelError
from trainers.policies.hf import HfPolicy
from trainers.policies.load import load_model
from trainers.train import Trainer


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"))


def make_trainer(config, model, *, env=None, **options):
    env = env or corridor(config.env.num_envs, context=config.env.context, max_episode_steps=3)
    return Trainer(config, env=env, policy=HfPolicy(*load_model(model)), **options)


@pytest.fixture(scope="module")
def whole_run(model, tmp_path_factory):
    """Four iterations without interruption."""
    directory = tmp_path_factory.mktemp("runs") / "whole"
    state = make_trainer(small_config(directory), model).train()
    assert state.iteration == 4
    return directory


def test_what_a_run_leaves_behind(whole_run):
    lines = lines_of(whole_run)
    assert [line["iteration"] for line in lines] == [0, 1, 2, 3, 4]
    # Evaluated before the iterations 0 and 2, and after the last.
    assert ["eval/success" in line for line in lines] == [True, False, True, False, True]
    for line in lines[:4]:
        assert line["rollout/episodes"] == 6
        assert line["rollout/wasted_tokens"] == 0
        assert line["learner/sampler_difference_max"] < 1e-5
        assert line["learner/grad_norm"] > 0
        assert "credit/shared_turns" in line
    episodes = lines_of(whole_run, "episodes.jsonl")
    assert len(episodes) == 4 * 6
    assert {episode["task"].split("/")[0] for episode in episodes} == {"train"}
    assert {"state_key", "observation", "answer", "reward", "advantage"} <= episodes[0]["turns"][0].keys()
    assert load_config(whole_run / "config.toml") == small_config(whole_run)
    summary = json.loads((whole_run / "summary.json").read_text())
    assert summary["chosen_on_these_tasks"] is True
    assert {row["task"].split("/")[0] for row in summary["per_task"]} == {"test"}
    best = whole_run / "checkpoints" / "best"
    load_model(best)
    assert best.resolve().name == f"step_{summary['model']['iteration']:08d}"


def test_a_run_that_was_stopped_goes_on_exactly(whole_run, model, tmp_path):
    directory = tmp_path / "resumed"

    class StopAfter(TrainerCallback):
        def __init__(self, iteration):
            self.iteration = iteration

        def on_step_end(self, config, state, control, **kwargs):
            control.should_training_stop = state.iteration == self.iteration

    for iteration in (1, 3, 99):
        config = small_config(directory)
        make_trainer(config, model, callbacks=[StopAfter(iteration)], resume=directory.exists()).train()
    assert lines_of(directory) == lines_of(whole_run)
    assert lines_of(directory, "episodes.jsonl") == lines_of(whole_run, "episodes.jsonl")
    weights = "checkpoints/step_00000004/model.safetensors"
    assert (directory / weights).read_bytes() == (whole_run / weights).read_bytes()


def test_a_run_that_was_killed_goes_on_exactly(whole_run, model, root, tmp_path):
    """In the middle of an episode of the third iteration."""
    directory, accidents = tmp_path / "killed", tmp_path / "accidents"
    accidents.mkdir()
    (accidents / "kill").write_text(lines_of(whole_run, "episodes.jsonl")[15]["task"])
    (tmp_path / "run.toml").write_text(to_toml(configure(model, directory, accidents, processes=1)))
    program = [sys.executable, "-c", "import sys; from trainers.cli import main; sys.exit(main(sys.argv[1:]))"]
    words = ["train", str(tmp_path / "run.toml")]
    done = subprocess.run([*program, *words], cwd=root, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [line["iteration"] for line in lines_of(directory)] == [0, 1]
    make_trainer(small_config(directory), model, resume=True).train()
    assert lines_of(directory) == lines_of(whole_run)
    assert lines_of(directory, "episodes.jsonl") == lines_of(whole_run, "episodes.jsonl")


def train_on_two_ranks(whole_run, model, directory, root, *settings):
    words = ["train", str(whole_run / "config.toml"), "--model", str(model), "--output-dir", str(directory), *settings]
    program = [sys.executable, "-c", "import sys; from trainers.cli import main; sys.exit(main(sys.argv[1:]))", *words]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--no-python"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    assert subprocess.run([*torchrun, *program], cwd=root, env=environment, check=False).returncode == 0


def check_nearly_same(run, other):
    """The sum of gradients is rounded in another order, and each rank fills its own micro-batches."""
    left_out = {"learner/micro_batches", "learner/padding"}
    for mine, theirs in zip(lines_of(run), lines_of(other), strict=True):
        assert {name: value for name, value in mine.items() if name not in left_out} == pytest.approx(
            {name: value for name, value in theirs.items() if name not in left_out}, rel=1e-3, abs=1e-4
        )


def test_a_run_in_pieces_goes_on_in_one_process(whole_run, model, root, tmp_path):
    """Two ranks train and keep what they had after each iteration; one process goes on from the second."""
    directory = tmp_path / "pieces"
    settings = ["--learner.sharding", "fsdp2", "--output.keep", "4"]
    train_on_two_ranks(whole_run, model, directory, root, *settings)
    check_nearly_same(directory, whole_run)
    place = directory / "checkpoints"
    assert len(list((place / "step_00000002" / "pieces").glob("*.safetensors"))) == 2
    (place / "best").unlink()
    for later in ("step_00000003", "step_00000004"):
        shutil.rmtree(place / later)
    trainer = make_trainer(load_config(directory / "config.toml"), model, resume=True)
    assert trainer.state.iteration == 2
    trainer.train()
    check_nearly_same(directory, whole_run)
    assert not (place / "step_00000004" / "pieces").exists(), "one process has all in one piece"


def test_two_ranks_under_torchrun_play_and_learn_what_one_does(whole_run, model, root, tmp_path):
    directory = tmp_path / "two"
    train_on_two_ranks(whole_run, model, directory, root)
    check_nearly_same(directory, whole_run)
    answers = [
        [[turn["answer"] for turn in episode["turns"]] for episode in lines_of(run, "episodes.jsonl")]
        for run in (directory, whole_run)
    ]
    assert answers[0] == answers[1]


def test_a_damaged_checkpoint_is_passed_over(whole_run, model, tmp_path):
    directory = tmp_path / "damaged"
    shutil.copytree(whole_run, directory, symlinks=True)
    (directory / "checkpoints/step_00000004/model.safetensors").write_bytes(b"nonsense")
    with pytest.warns(UserWarning, match="step_00000004 is damaged"):
        trainer = make_trainer(small_config(directory), model, resume=True)
    assert trainer.state.iteration == 3
    trainer.train()
    assert lines_of(directory) == lines_of(whole_run)


IN_OWN_MOUNTS = ["unshare", "--user", "--map-root-user", "--mount"]
"""Runs a program that may mount, without being root, what nobody else sees."""


def can_mount(directory) -> bool:
    if shutil.which("unshare") is None:
        return False
    command = [*IN_OWN_MOUNTS, "mount", "-t", "tmpfs", "-o", "size=1m", "none", str(directory)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_full_disk_costs_an_iteration(whole_run, model, root, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if not can_mount(disk):
        pytest.skip("needs a small file system: no user namespaces here")
    program = [*IN_OWN_MOUNTS, sys.executable, "-m", "tests.trainers.full_disk_run", str(model), str(disk)]
    done = subprocess.run(
        [*program, str(tmp_path)], cwd=root, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    told, whole, also_told, also_whole = done.stdout.splitlines()
    # The checkpoint after iteration 1 did not fit, and later the episodes of iteration 2.
    assert f"could not write checkpoint {disk}/run/checkpoints/step_00000002" in told
    assert "No space left on device" in told
    assert "--resume" in told
    assert f"could not write {disk}/run/episodes.jsonl" in also_told
    assert (whole, also_whole) == ("whole: [0, 1]", "whole: [0, 1, 2]")  # 0 is the best
    assert lines_of(tmp_path) == lines_of(whole_run)


def test_ctrl_c_saves_and_stops(whole_run, model, tmp_path):
    directory = tmp_path / "interrupted"

    class Press(TrainerCallback):
        """Once while it learns, where Ctrl-C has to wait, and then while it plays, where it need not."""

        times = 0

        def on_rollout(self, config, state, control, **kwargs):
            self.press(state.iteration == 1)

        def on_step_begin(self, config, state, control, **kwargs):
            self.press(state.iteration == 3)

        def press(self, now):
            if now and not Press.times & 2:
                Press.times += 1
                os.kill(os.getpid(), signal.SIGINT)

    stops: list[int] = []
    while not stops or stops[-1] < 4:
        trainer = make_trainer(small_config(directory), model, callbacks=[Press()], resume=bool(stops))
        stops.append(trainer.train().iteration)
        assert trainer.interrupted == (stops[-1] < 4)
    assert stops == [2, 3, 4]
    assert lines_of(directory) == lines_of(whole_run)


@pytest.mark.parametrize("context", ["step", "conversation"])
def test_both_contexts_learn_from_the_log_probabilities_that_were_sampled(model, tmp_path, context):
    config = small_config(tmp_path / "run", env={"context": context}, iterations=1)
    make_trainer(config, model).train()
    [line, _] = lines_of(tmp_path / "run")
    assert line["learner/sampler_difference_max"] < 1e-5
    # A sample per turn, or per episode.
    assert line["learner/samples"] == line["rollout/turns" if context == "step" else "rollout/episodes"]


def test_callbacks_are_told_of_every_event(model, tmp_path):
    told = []

    class Notes(TrainerCallback):
        def __getattribute__(self, name):
            if name.startswith("on_"):
                told.append(name)
            return super().__getattribute__(name)

    config = small_config(tmp_path / "run", iterations=1, output={"save_steps": 1})
    make_trainer(config, model, callbacks=[Notes()]).train()
    assert told == [
        "on_train_begin",
        "on_step_begin",
        "on_evaluate",
        "on_save",
        "on_rollout",
        "on_log",
        "on_step_end",
        "on_save",
        "on_evaluate",
        "on_train_end",
    ]


def test_episodes_that_fail_are_data_unless_all_do(model, tmp_path):
    def breaking(every):
        episodes = itertools.count()

        class Breaks(gym.Wrapper):
            broken = False

            def reset(self, **options):
                self.broken = next(episodes) % every == 0
                return super().reset(**options)

            def step(self, action):
                if self.broken:
                    raise RuntimeError("broken")
                return super().step(action)

        return corridor(2, inner=Breaks, max_episode_steps=3)

    config = small_config(tmp_path / "half", iterations=1, evaluation={"split": ""})
    make_trainer(config, model, env=breaking(every=2)).train()
    assert lines_of(tmp_path / "half")[0]["rollout/failed"] == 3
    config = dataclasses.replace(config, output_dir=str(tmp_path / "all"))
    with pytest.raises(AgentGymError, match="all episodes of iteration 0 failed, the first with: RuntimeError: broken"):
        make_trainer(config, model, env=breaking(every=1)).train()


def test_what_cannot_work_is_refused_before_anything_is_trained(whole_run, model, tmp_path):
    fresh = tmp_path / "fresh"
    with pytest.raises(BadOptionError, match="holds a run already"):
        make_trainer(small_config(whole_run), model)
    with pytest.raises(BadOptionError, match="context 'step'"):
        make_trainer(small_config(fresh, env={"context": "step"}), model, env=corridor())
    with pytest.raises(BadOptionError, match=r"evaluation\.split must differ"):
        make_trainer(small_config(fresh, env={"split": ""}, evaluation={"split": "train"}), model)
    with pytest.raises(UnknownSplitError):
        make_trainer(small_config(fresh, evaluation={"split": "tset"}), model)
    assert not fresh.exists()


def test_a_directory_in_which_nothing_was_played_is_begun_anew(model, tmp_path):
    class Fails:
        def on_train_begin(self, *_, **__):
            raise KeyError("a mistake of somebody's own")

    run = tmp_path / "run"
    with pytest.raises(KeyError):
        make_trainer(small_config(run, iterations=1, evaluation={"split": ""}), model, callbacks=[Fails()]).train()
    assert (run / "config.toml").is_file()
    make_trainer(small_config(run, iterations=1, evaluation={"split": ""}), model).train()
    assert [line["iteration"] for line in lines_of(run)] == [0]


def test_a_logger_that_is_missing_stops_a_run_before_it_starts(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trackio", None)
    config = small_config(tmp_path / "run", output={"report_to": ["tensorboard", "trackio"]})
    with pytest.raises(MissingExtraError, match="pip install trackio"):
        make_trainer(config, model).train()
    # Nothing was played, and the directory is free for the next try.
    assert not (tmp_path / "run" / "checkpoints").exists()
    make_trainer(small_config(tmp_path / "run"), model)


def test_a_template_that_rewrites_earlier_turns_is_refused_in_conversations(model, tmp_path):
    directory = shutil.copytree(model, tmp_path / "model")
    template = (directory / "chat_template.jinja").read_text()
    changed = template.replace("{{ message.content }}", "{{ message.content if loop.last else 'forgotten' }}")
    assert changed != template
    (directory / "chat_template.jinja").write_text(changed)
    with pytest.raises(ModelError):
        make_trainer(small_config(tmp_path / "run"), directory)
    make_trainer(small_config(tmp_path / "run", env={"context": "step"}), directory)


def test_small_models_are_saved_after_every_iteration(model, tmp_path, monkeypatch):
    config = small_config(tmp_path / "run")
    assert make_trainer(config, model).save_steps == 1
    monkeypatch.setattr(train, "SMALL_MODEL", 1000)
    assert make_trainer(config, model).save_steps == 10
    assert make_trainer(small_config(tmp_path / "run", output={"save_steps": 3}), model).save_steps == 3


def test_training_never_sees_evaluation_tasks(model, tmp_path):
    trainer = make_trainer(small_config(tmp_path / "run"), model)
    trainer.eval_tasks = trainer.train_tasks.take(3, 1)
    with pytest.raises(BadOptionError, match="not evaluated on"):
        trainer.train()
