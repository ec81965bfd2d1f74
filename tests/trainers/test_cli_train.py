"""The trainer's verbs, as typed."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.trainers.corridor import CORRIDOR, tiny_model
from trainers.cli import main
from trainers.commands import parse_train
from trainers.config import load_config
from trainers.credit import Gigpo, Grpo
from trainers.eval_command import parse_eval
from trainers.policies.load import load_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"))


def words(model, output_dir, *more):
    return [
        "train",
        *("--env", CORRIDOR, "--model", str(model), "--output-dir", str(output_dir)),
        *("--env.split", "train", "--env.num-envs", "4"),
        *("--env.settings", "action_format=bare", "max_episode_steps=3"),
        *("--rollout.groups", "2", "--rollout.group-size", "2", "--rollout.max-new-tokens", "4"),
        *("--evaluation.split", "test", "--evaluation.tasks", "2", "--iterations", "1", "--output.report-to"),
        *more,
    ]


@pytest.fixture(scope="module")
def run(model, tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "a"
    assert main(words(model, directory, "credit:grpo", "--credit.no-normalise")) == 0
    return directory


def test_train(run):
    config = load_config(run / "config.toml")
    assert config.credit == Grpo(normalise=False)
    assert config.env.settings == {"action_format": "bare", "max_episode_steps": 3}
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2


def test_train_goes_on(run, capsys):
    assert main(["train", "--resume", str(run), "--iterations", "2"]) == 0
    assert "Resuming at iteration 1 of 2." in capsys.readouterr().out
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 3
    assert load_config(run / "config.toml").iterations == 2


def test_dry_run(model, tmp_path, capsys):
    assert main(words(model, tmp_path / "never", "--dry-run")) == 0
    told = capsys.readouterr().out
    assert 'method = "gigpo"' in told
    assert "tokens to sample" in told
    assert not (tmp_path / "never").exists()


def test_settings_come_from_the_recipe_the_file_and_the_words(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("iterations = 3\n[rollout]\ngroups = 5\n[credit]\ngamma = 0.5\n")
    verb = parse_train([str(path), "--recipe", "alfworld-tiny", "--rollout.groups", "6", "--credit.step-weight", "2"])
    assert verb.config.env.id == "AgentGym/ALFWorld-v0"
    assert (verb.config.iterations, verb.config.rollout.groups) == (3, 6)
    assert verb.config.credit == Gigpo(gamma=0.5, step_weight=2.0)


@pytest.mark.parametrize("place", [0, 4, 8, 12])
def test_words_stand_in_any_order(tmp_path, place):
    path = tmp_path / "run.toml"
    path.write_text('iterations = 3\n[credit]\nmethod = "grpo"\nnormalise = false\n')
    pairs = [
        "--env.settings",
        "engine=native",
        "--model",
        "m",
        "--credit.gamma",
        "0.5",
        "--output-dir",
        "b",
        "--dry-run",
    ]
    options = ["--env", "AgentGym/ALFWorld-v0", *pairs]
    for lone in ([str(path), "credit:gigpo"], ["credit:gigpo", str(path)]):
        verb = parse_train([*options[:place], *lone, *options[place:]])
        config = verb.config
        assert (config.env.id, config.model.path, config.output_dir) == ("AgentGym/ALFWorld-v0", "m", "b")
        assert (config.iterations, config.credit) == (3, Gigpo(gamma=0.5))
        assert (verb.file, verb.dry_run, config.env.settings) == (str(path), True, {"engine": "native"})


def test_a_word_keeps_the_settings_of_the_method_that_the_file_has(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('[credit]\nmethod = "grpo"\nnormalise = false\n')
    assert parse_train([str(path), "credit:grpo"]).config.credit == Grpo(normalise=False)
    assert parse_train([str(path), "--credit.normalise"]).config.credit == Grpo()


def test_the_environment_may_stand_alone():
    assert parse_train(["AgentGym/ALFWorld-v0", "--model", "m"]).config.env.id == "AgentGym/ALFWorld-v0"
    assert parse_train(["my.module:Own-v1", "credit:grpo"]).config.env.id == "my.module:Own-v1"
    for words in (["rooms", "credit:grpo"], ["credit:grpo", "--env", "Rooms-v0"], ["--env=agentgym/rooms"]):
        assert parse_train(words).config.env.id == "AgentGym/Rooms-v0"
    assert parse_train(["--env", "kuhn_poker"]).config.env.id == "kuhn_poker_v0"
    assert parse_eval(["AgentGym/ALFWorld-v0", "--model", "m"]).env.id == "AgentGym/ALFWorld-v0"


def test_eval_writes_the_same_summary_twice(run, capsys):
    best = str(run / "checkpoints" / "best")
    texts = []
    for _ in range(2):
        assert main(["eval", "--model", best, "--split", "test", "--tasks", "3"]) == 0
        texts.append((run / "eval" / "test" / "summary.json").read_text())
    assert texts[0] == texts[1]
    told = capsys.readouterr().out
    assert "the checkpoint was chosen by its success on test" in told
    summary = json.loads(texts[0])
    assert summary["task_list"]["tasks"] == 3
    assert summary["model"]["sha256"]
    assert summary["env"]["action_format"] == "bare"
    assert main(["eval", "--compare", str(run / "eval/test"), str(run / "eval/test/summary.json")]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"A: {run}/eval/test\nB: {run}/eval/test/summary.json\n")
    assert "+0.0" in told


def test_eval_says_that_a_split_was_trained_on(run, tmp_path, capsys):
    options = ["--tasks", "2", "--samples", "2", "--temperature", "1", "--output-dir", str(tmp_path)]
    assert main(["eval", "--model", str(run / "checkpoints/best"), "--split", "train", *options]) == 0
    assert "the model was trained on train" in capsys.readouterr().out
    assert json.loads((tmp_path / "summary.json").read_text())["all"]["episodes"] == 4


def test_eval_knows_the_split_that_was_trained_on_though_none_was_named(tmp_path, capsys):
    play = ["--rollout.groups", "1", "--rollout.group-size", "2", "--rollout.max-new-tokens", "1", "--processes", "1"]
    run, more = str(tmp_path / "run"), ["--iterations", "1", "--env.num-envs", "2", "--output.report-to"]
    assert main(["train", "--env", "AgentGym/Rooms-v0", "--model", "tabular", "--output-dir", run, *play, *more]) == 0
    capsys.readouterr()
    for split, noted in (("train", True), ("test", False)):  # Rooms takes train where no split is named
        assert main(["eval", "--model", f"{run}/checkpoints/step_00000001", "--split", split, "--tasks", "1"]) == 0
        assert ("the model was trained on train" in capsys.readouterr().out) == noted


def test_a_run_in_the_place_of_a_model_is_met_with_its_checkpoints(run, capsys):
    assert main(["eval", "--model", str(run), "--split", "test"]) == 2
    told = capsys.readouterr().err
    assert f"--model names '{run}', which is a run: name one of its checkpoints. There is {run}/checkpoints/" in told


def test_sft(model, tmp_path, capsys):
    options = ["--episodes", "3", "--epochs", "1", "--learner.learning-rate", "0.01"]
    settings = ["--env.num-envs", "2", "--env.settings", "action_format=bare"]
    directory = tmp_path / "sft"
    command = ["sft", "--env", CORRIDOR, "--model", str(model), "--output-dir", str(directory), *settings, *options]
    assert main(command) == 0
    load_model(directory / "model")
    assert "Imitated 3 episodes" in capsys.readouterr().out
    evaluation = ["eval", "--model", str(directory / "model"), "--split", "test", "--tasks", "2"]
    assert main([*evaluation, "--env.settings", "max_episode_steps=2"]) == 0
    summary = json.loads((directory / "eval" / "test" / "summary.json").read_text())
    assert summary["env"] == {
        "id": CORRIDOR,
        "context": "conversation",
        "action_format": "bare",
        "max_episode_steps": 2,
    }
    assert main(command) == 2
    assert "holds a model already" in capsys.readouterr().err


def test_view_and_export_take_the_run(run, tmp_path):
    assert main(["view", str(run), "--output", str(tmp_path / "report.html")]) == 0
    assert main(["export", str(run), "--output", str(tmp_path / "messages.jsonl")]) == 0
    assert (tmp_path / "messages.jsonl").read_text().count("\n") >= 4


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train", "--env must name an environment"),
        ("train --env AgentGym/ALFWorld-v0", "--model must name a model"),
        ("train --env AgentGym/ALFWrld-v0 --model x", "Did you mean AgentGym/ALFWorld-v0?"),
        ("train --env AgentGym/ALFWorld-v0 --model ./none", "./none"),
        ("train --env AgentGym/ALFWorld-v0 --model x --env.settings engin=native", "Did you mean 'engine'?"),
        ("train --env AgentGym/ALFWorld-v0 --model x --rollout.group-size 1", "group_size must be 2 or more"),
        ("train --recipe alfworld-tin", "Did you mean 'alfworld-tiny'?"),
        ("train nowhere.toml", "nowhere.toml"),
        ("train --resume nowhere", "has no config.toml"),
        ("train --model x stray.toml other.toml", "expected one configuration file, got 'stray.toml' and 'other.toml'"),
        ("train --env AgentGym/ALFWorld-v0 stray --model x", "no option takes the word 'stray'"),
        ("train --method dappo", "there is no method 'dappo'. Did you mean 'dapo'?"),
        ("train credit:gigpoo", "Did you mean 'gigpo'?"),
        ("train --env engine=native", "its settings follow --env.settings"),
        ("eval --split test", "--model must name the model to evaluate"),
        ("eval --env AgentGym/ALFWorld-v0 --model x", "--split must name the tasks"),
        ("eval --model ./none --split test", "--model names './none', and there is no such directory."),
        ("eval --model none --split test", "the model 'none' is no directory here, which would tell"),
        ("eval --env AgentGym/ALFWorld-v0 --model x --split valid_sen", "valid_seen"),
        ("eval --compare nowhere there", "nowhere"),
        ("sft", "--env and --model"),
    ],
)
def test_a_mistake_is_one_line(command, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(command.split()) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--env.settings max_episode_steps=0", "to be positive, actually: 0"),
        ("--env.settings render_mode=7", "can't be made with the settings {'render_mode': 7, 'split': 'train'}"),
        ("--env.settings context=step", "it has an option of its own, --env.context."),
        ("--env.settings num_envs=3", "it has an option of its own, --env.num-envs."),
        ("--env.settings split=test", "it has an option of its own, --env.split."),
        (f"--env.settings instructions={'word_' * 900}", "the model's context holds 1,024"),
        ("--env.split tset", "split must be one of"),
        ("--evaluation.split tset", "split must be one of"),
        ("--evaluation.split train", "must differ from the split that is trained on"),
        ("--model.device gpu", "device must be auto, cpu, or one that torch finds here, got 'gpu'"),
        ("--model.lora-rank 2 --model.lora-targets nothing", "no adapter can be put on LlamaForCausalLM"),
        ("--rollout.temperature inf", "temperature must be 0 (greedy) or a positive number, got inf."),
        ("--evaluation.temperature nan", "evaluation.temperature must be 0 or more, got nan."),
        ("--reward.scale nan", "reward.scale must be 0 or more, got nan."),
        ("--seed -1", "seed must be 0 or more, got -1."),
    ],
)
def test_nothing_is_made_for_a_request_that_cannot_be_met(model, tmp_path, capsys, options, message):
    directory = tmp_path / "run"
    assert main([*words(model, directory), *options.split()]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not directory.exists()


@pytest.mark.parametrize(
    ("lacking", "message"),
    [
        ("tokenizer*", "has no tokenizer: put the one the model was trained with into the directory."),
        ("*.safetensors", "has no weights in safetensors."),
        ("config.json", "is no model directory: it has no config.json."),
        ("chat_template.jinja", "expected a tokenizer with a chat template, got one without"),
    ],
)
@pytest.mark.parametrize("verb", ["train", "eval", "sft"])
def test_a_model_that_lacks_something_is_refused(model, tmp_path, capsys, verb, lacking, message):
    broken = tmp_path / "model"
    shutil.copytree(model, broken)
    for file in broken.glob(lacking):
        file.unlink()
    command = [
        verb,
        "--env",
        CORRIDOR,
        "--model",
        str(broken),
        "--output-dir",
        str(tmp_path / "run"),
        "--env.num-envs=1",
    ]
    assert main([*command, *{"eval": ["--split", "test"], "train": ["--processes", "1"]}.get(verb, [])]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("verb", ["train", "eval", "sft"])
def test_an_output_directory_that_is_a_file_is_refused(model, tmp_path, capsys, verb):
    file = tmp_path / "file"
    file.write_text("mine")
    more = ["--split", "test"] if verb == "eval" else []
    for place in (file, file / "run"):
        assert main([verb, "--env", CORRIDOR, "--model", str(model), "--output-dir", str(place), *more]) == 2
        assert (
            f"--output-dir must be a directory to write into, got '{place}': {file} is a file."
            in capsys.readouterr().err
        )
    assert file.read_text() == "mine"


def test_a_run_is_not_overwritten(run, model, capsys):
    before = (run / "config.toml").read_text()
    assert main(words(model, run)) == 2
    assert f"holds a run already: go on with it (--resume {run})" in capsys.readouterr().err
    assert (run / "config.toml").read_text() == before


def test_a_table_at_the_rate_of_a_large_model_is_told_of(tmp_path, capsys):
    words = ["train", "--env", "AgentGym/Rooms-v0", "--model", "tabular", "--iterations", "0", "--output.report-to"]
    said = "a table learns next to nothing: --learner.learning-rate 0.3 is usual."
    assert main([*words, "--output-dir", str(tmp_path / "slow")]) == 0
    assert f"At a learning rate of 1e-06 {said}" in " ".join(capsys.readouterr().out.split())
    assert main([*words, "--output-dir", str(tmp_path / "quick"), "--learner.learning-rate", "0.3"]) == 0
    assert said not in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--env", "AgentGym/ALFWrld-v0"], "Did you mean AgentGym/ALFWorld-v0?"),
        (["--env.split", "tset"], "split must be one of"),
        (["--model", "./none"], "there is no such directory"),
    ],
)
def test_what_is_wrong_with_the_request_comes_before_the_run_that_is_in_its_place(run, model, capsys, option, message):
    assert main(words(model, run, *option)) == 2
    told = capsys.readouterr().err
    assert message in told
    assert "holds a run already" not in told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--split tset", "split must be one of"),
        ("--split test --temperature nan", "temperature must be 0 (greedy) or a positive number, got nan."),
        ("--split test --tasks 0", "--tasks must be 1 or more, got 0."),
        ("--split test --samples 0", "--samples must be 1 or more, got 0."),
        ("--split test --seed -1", "--seed must be 0 or more, got -1."),
        ("--split test --max-new-tokens 0", "--max-new-tokens must be 1 or more, got 0."),
        (f"--split test --env.settings instructions={'word_' * 900}", "the model's context holds 1,024"),
    ],
)
def test_an_evaluation_that_cannot_be_made_is_refused(model, tmp_path, capsys, options, message):
    place = tmp_path / "eval"
    assert main(["eval", "--env", CORRIDOR, "--model", str(model), "--output-dir", str(place), *options.split()]) == 2
    assert message in capsys.readouterr().err
    assert not place.exists()


def test_a_split_without_data_is_refused(model, tmp_path, capsys):
    command = ["train", "--env", "AgentGym/ALFWorld-v0", "--model", str(model), "--output-dir", str(tmp_path / "run")]
    assert main([*command, "--env.split", "valid_seen"]) == 2
    assert "ALFWORLD_DATA" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("verb", ["train", "eval", "sft"])
def test_help(verb, capsys):
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    assert f"usage: agent-gym {verb}" in capsys.readouterr().out


def test_an_unknown_flag_is_met_with_the_nearest(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--credit.gama", "0.9"])
    assert "--credit.gamma" in capsys.readouterr().err


def test_a_dry_run_of_a_recipe_makes_nothing(tmp_path, capsys):
    directory = tmp_path / "run"
    assert main(["train", "--recipe", "alfworld-tiny", "--dry-run", "--output-dir", str(directory)]) == 0
    shown = capsys.readouterr().out
    assert 'id = "AgentGym/ALFWorld-v0"' in shown
    assert "No estimate" in shown
    assert not directory.exists()


def test_settings_take_pythons_words_for_truth():
    verb = parse_train(["--env", "AgentGym/Rooms-v0", "--env.settings", "a=True", "b=false", "c=None", "d=Truely"])
    assert verb.config.env.settings == {"a": True, "b": False, "c": None, "d": "Truely"}


def test_a_missing_library_is_met_with_the_extra_that_brings_it(tmp_path):
    code = (
        "import sys; sys.modules['torch'] = None\n"  # as if torch were not installed
        "from trainers.cli import main\n"
        "sys.exit(main(['train', '--env', 'AgentGym/Rooms-v0', '--model', 'tabular', '--output-dir', sys.argv[1]]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install 'agent-gym[train]'" in done.stderr
    assert "Traceback" not in done.stderr
