import io

import pytest
from rich.console import Console

from agent_gym.errors import BadOptionError, UnknownSplitError
from trainers.cli import main
from trainers.env_details import MOST_TASKS, show_env, show_tasks

ALFWORLD = "AgentGym/ALFWorld-v0"


def told(name, *, terminal=False):
    console = Console(file=io.StringIO(), width=80, force_terminal=terminal, color_system=None)
    show_env(console, name)
    return console.file.getvalue()


def test_one_environment_in_full(monkeypatch):
    monkeypatch.delenv("ALFWORLD_DATA", raising=False)
    lines = told(ALFWORLD).splitlines()
    assert lines[0] == ALFWORLD
    assert "  splits: generated_train 1,000,000, generated_valid 400, generated_test 400" in lines
    assert any(line.startswith("  needs data: train, valid_train, valid_seen, valid_unseen: Split") for line in lines)
    place = lines.index("  wording='put'")
    assert lines[place + 1].startswith("      Words of generated games:")


def test_a_terminal_of_80_columns_is_enough():
    text = told(ALFWORLD, terminal=True)
    assert max(map(len, text.splitlines())) <= 80
    assert " ".join(text.split()) == " ".join(told(ALFWORLD).split())  # folded, nothing is lost


def test_a_game_has_splits_and_settings_too():
    lines = told("negotiation_v0").splitlines()
    assert "  splits: train 4,291, valid 519, test 485" in lines
    assert "  turns=20" in lines
    assert told("kuhn_poker_v0").endswith("It has no settings.\n")


def test_an_environment_of_ones_own(root, monkeypatch, capsys):
    monkeypatch.chdir(root / "examples")
    assert main(["list", "locked_corridor:Example/LockedCorridor-v0"]) == 0
    assert "splits: test 1,096, train 346" in capsys.readouterr().out


def test_tasks_one_per_line(capsys):
    assert main(["list", "kuhn_poker_v0", "--split", "test"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "test/JK\ntest/JQ\ntest/KJ\ntest/KQ\ntest/QJ\ntest/QK\n"
    assert captured.err == ""


def test_of_very_many_tasks_the_first(capsys):
    assert main(["list", ALFWORLD, "--split", "generated_train"]) == 0
    captured = capsys.readouterr()
    names = captured.out.splitlines()
    assert len(names) == MOST_TASKS
    assert names[-1] == "generated_train/000000999"
    assert captured.err == "These are the first 1,000 of the 1,000,000 tasks of generated_train.\n"


def test_what_has_no_such_tasks_says_so():
    console = Console(file=io.StringIO())
    for name in (ALFWORLD, "kuhn_poker_v0"):
        with pytest.raises(UnknownSplitError, match="split must be one of"):
            show_tasks(console, console, name, "tests")
    with pytest.raises(BadOptionError, match="does not name its tasks"):
        show_tasks(console, console, "CartPole-v1", "test")


def test_a_split_wants_an_environment(capsys):
    assert main(["list", "--split", "test"]) == 2
    assert "agent-gym list ID --split NAME" in capsys.readouterr().err
