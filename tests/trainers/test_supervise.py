"""A run that is started again when a process of it is lost."""

import re

import pytest
from rich.console import Console

from trainers.supervise import LostProcessError, keep_going


def lost(directory, outcomes):
    """A run that saves, is killed, or ends: a number is a checkpoint that comes before it is killed."""
    asked = []

    def attempt(resume):
        asked.append(resume)
        outcome = outcomes.pop(0)
        if outcome == "ends":
            return 7
        if outcome is not None:
            (directory / f"step_{outcome:08d}").mkdir()
        raise LostProcessError("it was killed.")

    return attempt, asked


def test_what_saves_in_between_may_be_killed_again_and_again(tmp_path, capsys):
    attempt, asked = lost(tmp_path, [None, 1, 2, None, 3, "ends"])
    assert keep_going(attempt, tmp_path, 2, Console()) == 7
    assert asked == [False, True, True, True, True, True]
    # In a row without a checkpoint: the first, then one each time, two after step 2, one after step 3.
    assert re.findall(r"start (\d) of at most 2", capsys.readouterr().out) == ["1", "1", "1", "2", "1"]


def test_what_does_not_come_further_is_given_up(tmp_path):
    attempt, asked = lost(tmp_path, [None, None, None, "ends"])
    with pytest.raises(LostProcessError, match=r"it was killed\. What was saved is whole: go on with --resume\."):
        keep_going(attempt, tmp_path, 2, Console(quiet=True))
    assert asked == [False, True, True]


def test_without_restarts_the_first_loss_is_the_last(tmp_path):
    attempt, _ = lost(tmp_path, [1, "ends"])
    with pytest.raises(LostProcessError):
        keep_going(attempt, tmp_path, 0, Console(quiet=True))
