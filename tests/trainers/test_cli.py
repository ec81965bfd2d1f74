import io
import json
import os
import pty
import shlex
import signal
import subprocess
import sys

import pytest

from trainers.cli import main, parse_settings

ALFWORLD = "AgentGym/ALFWorld-v0"
PROGRAM = [sys.executable, "-c", "import sys; from trainers.cli import main; sys.exit(main())"]


def run(root, *words, stdin="", **environment):
    return subprocess.run(
        [*PROGRAM, *words],
        cwd=root,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "80"} | environment,
    )


def test_help_loads_neither_gymnasium_nor_numpy(root):
    program = (
        "import sys\nfrom trainers.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print({'gymnasium', 'numpy', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert "rollout" in done.stdout
    assert done.stdout.endswith("set()\n")


def test_list(capsys):
    assert main(["list"]) == 0
    assert "generated_train" in capsys.readouterr().out


def test_play_from_a_pipe(root, tmp_path):
    path = tmp_path / "episodes.jsonl"
    done = run(root, "play", ALFWORLD, "--seed", "3", "--output", str(path), stdin="?\nlook\n/undo\ninventory\n/quit\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert "> ?\n" in done.stdout
    assert "You are not carrying anything.\n> /quit\nLeft after 1 step" in done.stdout
    [episode] = [json.loads(line) for line in path.read_text().splitlines()]
    assert [step["action"] for step in episode["steps"]] == ["inventory"]


def test_play_in_a_terminal_completes_commands(root):
    parent, child = pty.openpty()
    words = [*PROGRAM, "play", ALFWORLD, "--seed", "3"]
    with subprocess.Popen(words, cwd=root, stdin=child, stdout=child, stderr=child) as process:
        os.close(child)
        os.write(parent, b"inv\t\n?\n/quit\n")
        shown = b""
        while chunk := read_terminal(parent):
            shown += chunk
        os.close(parent)
    assert process.returncode == 0
    assert b"You are not carrying anything." in shown
    assert b"go to toilet 1" in shown
    assert b"Left after 1 step" in shown


def read_terminal(descriptor):
    try:
        return os.read(descriptor, 10_000)
    except OSError:  # Linux says so when the other side has gone
        return b""


def test_play_a_named_task_with_settings(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("/rules\n"))
    assert main(["play", ALFWORLD, "--task", "generated_test/000000007", "--env.settings", "wording=move"]) == 0
    out = capsys.readouterr().out
    assert "Task generated_test/000000007 (generated)" in out
    assert "move OBJECT to PLACE" in out


def test_rollout_reports_and_records(capsys, tmp_path):
    path = tmp_path / "episodes.jsonl"
    words = ["rollout", ALFWORLD, "--policy", "expert", "--split", "generated_test", "--episodes", "10"]
    assert main([*words, "--output", str(path)]) == 0
    out = capsys.readouterr().out
    assert "10 of 10 played" in out
    assert f"expert policy, {ALFWORLD}, generated_test: generated tasks" in out
    assert "steps/s" in out
    episodes = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({episode["task"] for episode in episodes}) == 10
    assert {episode["split"] for episode in episodes} == {"generated_test"}
    successes = sum(episode["success"] for episode in episodes)
    assert f"{10 * successes}.0" in out


def test_rollout_is_the_same_with_workers_and_without(capsys):
    words = ["rollout", ALFWORLD, "--episodes", "6", "--seed", "5"]
    assert main(words) == 0
    alone = capsys.readouterr().out.splitlines()
    assert main([*words, "--workers", "2"]) == 0
    together = capsys.readouterr().out.splitlines()
    tables = [[line for line in lines if " to " in line] for lines in (alone, together)]
    assert tables[0] == tables[1]


def test_rollout_of_more_than_there_is(capsys):
    words = ["rollout", ALFWORLD, "--split", "generated_valid", "--episodes", "1000000"]
    assert main([*words, "--env.settings", "max_episode_steps=1"]) == 0
    assert "generated_valid has 400 tasks: each is played once." in capsys.readouterr().out


def test_rollout_interrupted_reports_what_was_finished(root):
    words = ["rollout", ALFWORLD, "--episodes", "6000"]  # so many that it is still playing when it is interrupted
    with subprocess.Popen(
        [*PROGRAM, *words],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whatever runs these tests in the background may have Ctrl-C ignored, and would pass that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("600 of 6000 played")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130
    assert "Interrupted after " in out
    assert "95 % interval" in out
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["list", "alfwrld"], "there is no environment 'alfwrld'. Did you mean AgentGym/ALFWorld-v0?"),
        (["play", "AgentGym/ALFWrld-v0"], "Did you mean AgentGym/ALFWorld-v0?"),
        (["play", "Chess-v0"], "there is no environment 'Chess-v0'. `agent-gym list` shows all of them."),
        (["play", ""], "--env must name an environment, such as AgentGym/ALFWorld-v0; `agent-gym list` shows all."),
        (["play", ALFWORLD, "--split", "generated_tst"], "Did you mean 'generated_test'?"),
        (["play", ALFWORLD, "--split", "valid_seen"], "ALFWORLD_DATA"),
        (["play", ALFWORLD, "--task", "generated_test/9"], "Tasks of generated_test are named"),
        (["rollot", "x"], "there is no verb 'rollot'. Did you mean 'rollout'? `agent-gym --help` shows all."),
        (["play", ALFWORLD, "--task", "nothing"], "'generated_test'], got 'nothing'.\n"),
        (["rollout", "Mine/Elevator-v0"], "registers is named together with it: my_module:Mine/Elevator-v0."),
        (["play", "agent_gym:AgentGym/Soboka-v0"], "Did you mean agent_gym:AgentGym/Sokoban-v0?"),
        (["play", "kuhn_poker"], "kuhn_poker_v0 is a game for several agents"),
        (["train", "rooms", "--credit", "gigpo"], "credit is chosen by a word without dashes: write credit:gigpo."),
        (["train", "--shaping=spa"], "shaping is chosen by a word without dashes: write shaping:spa."),
        (["play", ALFWORLD, "--env.settings", "engin=native"], "has no setting 'engin'"),
        (["play", ALFWORLD, "--env.settings", "engine=nativ"], "Did you mean 'native'?"),
        (["play", ALFWORLD, "--env.settings", "engine"], "--env.settings takes NAME=VALUE, such as"),
        (["play", ALFWORLD, "--env.settings", "max_episode_steps=many"], "can't be made with the settings"),
        (["play", "CartPole-v1"], "is no text environment: expected observations in a Text space, got Box("),
        (["play", "no_such_module:Chess-v0"], "the module before ':' in 'no_such_module:Chess-v0' must be importable"),
        (["play", "agent_gym:Chess-v0"], "there is no environment 'agent_gym:Chess-v0'."),
        (["play", ALFWORLD, "--output", "/"], "must be a file that can be written"),
        (["play"], "--env must name an environment"),
        (
            ["play", ALFWORLD, "--env", "engine=native"],
            "its settings follow --env.settings, as in --env.settings engine=",
        ),
        (
            ["rollout", "--env=engine=native", "wording=put"],
            "--env takes the id of an environment, got 'engine=native'",
        ),
        (["play", ALFWORLD, "--env", "AgentGym/Chess-v0"], "expected one environment, got 'AgentGym/ALFWorld-v0' and"),
        (["rollout", ALFWORLD, "--episodes", "0"], "episodes must be 1 or more, got 0."),
        (["rollout", ALFWORLD, "--seed", "-1"], "seed must be 0 or more, got -1."),
        (["rollout", ALFWORLD, "--env.settings", "max_episode_steps=0"], "to be positive, actually: 0."),
        (["play", "..x:Own-v0"], "the module before ':' in '..x:Own-v0' must be importable"),
        (["rollout", ALFWORLD, "--workers", "0"], "workers must be 1 or more, got 0."),
        (["play", "[bold]:key:"], "before ':' in '[bold]:key:' must be importable"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(capsys, monkeypatch, words, message):
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.delenv("ALFWORLD_DATA", raising=False)
    assert main(words) == 2
    captured = capsys.readouterr()
    *said, mistake = captured.err.splitlines(keepends=True)
    assert mistake.startswith("agent-gym: ")
    assert message in mistake
    assert [line for line in said if " is " not in line] == []  # which id was taken


@pytest.mark.parametrize("words", [[], ["rollout", ALFWORLD, "--policy", "best"]])
def test_words_that_are_no_request_end_with_status_2(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err


def test_output_that_nobody_reads_is_no_error(root):
    command = f"{shlex.join([*PROGRAM, 'rollout', ALFWORLD])} | head -n 1"
    done = subprocess.run(["bash", "-c", command], cwd=root, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_an_environment_is_named_alone_or_by_an_option(capsys):
    for words in (["--episodes", "2", ALFWORLD], ["--env", ALFWORLD, "--episodes", "2"]):
        assert main(["rollout", *words]) == 0
        assert f"random policy, {ALFWORLD}" in capsys.readouterr().out


@pytest.mark.parametrize("short", ["rooms", "Rooms-v0", "agentgym/ROOMS", "ROOMS-V0"])
def test_a_short_name_is_taken_for_the_one_id_that_it_fits(short, capsys):
    for words in (["rollout", short], ["rollout", "--env", short]):
        assert main([*words, "--episodes", "2"]) == 0
        captured = capsys.readouterr()
        assert "random policy, AgentGym/Rooms-v0" in captured.out
        assert captured.err == f"{short} is AgentGym/Rooms-v0.\n"


def test_ctrl_c_before_anything_is_played_is_one_line(root):
    program = (
        "import signal, sys\nfrom trainers.cli import main\n"
        "signal.signal(signal.SIGALRM, signal.default_int_handler)\n"  # as Ctrl-C, from a clock
        "signal.setitimer(signal.ITIMER_REAL, 0.02)\n"  # all environments take a hundred times as long
        "sys.exit(main(['list']))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "agent-gym: interrupted.\n")


def test_an_environment_of_a_module_in_the_working_directory(root, tmp_path):
    code = (root / "examples" / "locked_corridor.py").read_text()
    (tmp_path / "my_corridor.py").write_text(code)
    (tmp_path / "json.py").write_text("raise AssertionError('a file of the user hides the standard library')")
    program = [sys.executable, "-P", *PROGRAM[1:]]  # -P, as a console script: without the directory on the path
    words = ["rollout", "--env", "my_corridor:Example/LockedCorridor-v0", "--policy", "expert", "--episodes", "2"]
    for workers in ("1", "2"):
        done = subprocess.run(
            [*program, *words, "--workers", workers],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": str(root)},
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "2 of 2 played, 2 solved" in done.stdout


def test_parse_settings_reads_a_value_as_json_where_it_is():
    words = ["max_episode_steps=7", "data=/some/place=1", 'difficulty="1"', "disable_env_checker=true", "wording="]
    assert parse_settings(ALFWORLD, "generated_test", words) == {
        "split": "generated_test",
        "max_episode_steps": 7,
        "data": "/some/place=1",
        "difficulty": "1",
        "disable_env_checker": True,
        "wording": "",
    }
