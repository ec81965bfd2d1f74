from dataclasses import replace

import pytest

from tests.trainers.shaping.made import made_episode, made_group
from trainers.task_filter import TaskFilter

WON, LOST = made_episode("A", [1]), made_episode("A", [0])


def test_tasks_that_were_solved_at_least_once_stay():
    played = [
        made_group(LOST, LOST, task="never"),
        made_group(LOST, LOST, task="late"),
        made_group(WON, WON, task="always"),
        made_group(LOST, WON, task="late"),
        made_group(replace(WON, status="failed"), task="broken"),
        made_group(task="unplayed"),
    ]
    assert TaskFilter().keep(played) == ["late", "always"]
    assert TaskFilter(episodes=2, most=1).keep(played) == ["late"]
    assert TaskFilter(least=0, episodes=2, most=0).keep(played) == ["never", "broken", "unplayed"]


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="0 ≤ least ≤ most"):
        TaskFilter(least=3, most=2)
    with pytest.raises(ValueError, match="1 episode or more"):
        TaskFilter(episodes=0, least=0)
