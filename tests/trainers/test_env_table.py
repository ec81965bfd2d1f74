import io
import re

import pytest
from rich.console import Console

from agent_gym.errors import MissingExtraError
from agent_gym.suite import ENVIRONMENTS, GAMES
from agent_gym.suite_figures import Figures, Outcome, PlayFigures
from trainers.env_table import _MODULES, extra_in_words, show_envs, splits_in_words, splits_of, success_in_words


def played(**successes):
    outcomes = tuple(Outcome(role=role, successes=count, score=count / 100) for role, count in successes.items())
    return PlayFigures(tasks=100, outcomes=outcomes, steps=2.0, cpu_s=1.0)


def measured(random, expert):
    players = {"random": random, "expert": expert}
    return Figures(tasks={"test": 100}, split="test", seed=0, steps_per_s=1234.0, players=players)


# Wilson's intervals of 7, 100, 70, 30 and 50 in 100, from tables: 3.4 to 13.7, 96.3 to 100, 60.4 to 78.1, 21.9 to 39.6,
# 40.4 to 59.6.
FIGURES = {
    "AgentGym/ALFWorld-v0": measured(played(**{"": 7}), played(**{"": 100})),
    "kuhn_poker_v0": measured(played(first=70, second=30), played(first=50, second=50)),
}


def printed(*, terminal=False, width=80):
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    show_envs(console)
    return console.file.getvalue()


def rows_of(text):
    """The cells of each row but its first, by the first."""
    lines = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]
    return {name: cells for name, *cells in lines if len(cells) > 3}


@pytest.fixture
def no_extras(monkeypatch):
    """None of the packages that extras bring is found."""
    monkeypatch.setattr(
        "trainers.env_table._MODULES", {one.extra: ("not_there",) for one in ENVIRONMENTS.values() if one.extra}
    )


def test_a_narrow_terminal_has_a_row_for_each_that_fits(monkeypatch, no_extras):
    monkeypatch.setattr("trainers.env_table.figures_of", FIGURES.get)
    text = printed(terminal=True)
    assert max(map(len, text.splitlines())) <= 80
    rows = rows_of(text)
    assert {*ENVIRONMENTS, *GAMES} < {*rows}
    # 1,000,000 + 400 + 400 tasks, and 6 + 6
    assert rows["AgentGym/ALFWorld-v0"] == ["ready", "1.0M", "1,234", "7", "100"]
    assert rows["AgentGym/ReasoningGym-v0"][0] == "reasoning-gym"
    assert rows["kuhn_poker_v0"] == ["ready", "12", "1,234", "70/30", "50"]


def test_what_needs_no_extra_or_has_it_is_ready():
    assert extra_in_words("AgentGym/Rooms-v0", wide=True) == "ready"
    pytest.importorskip("minigrid")
    assert extra_in_words("AgentGym/BabyAI-v0", wide=False) == "ready"
    assert extra_in_words("AgentGym/BabyAI-v0", wide=True) == "babyai ready"


def test_every_extra_has_modules_to_know_it_by():
    assert {*_MODULES} == {one.extra for one in ENVIRONMENTS.values() if one.extra}


def test_a_pipe_has_everything_of_one_in_one_line(monkeypatch, no_extras):
    monkeypatch.delenv("ALFWORLD_DATA", raising=False)
    monkeypatch.delenv("WEBSHOP_DATA", raising=False)
    monkeypatch.setattr("trainers.env_table.figures_of", FIGURES.get)
    rows = rows_of(printed())
    assert rows["AgentGym/ALFWorld-v0"] == [
        *("ready", "1,000,800", "1,234", "7 (3 to 14)", "100 (96 to 100)"),
        "generated_train 1,000,000, generated_valid 400, generated_test 400, "
        "train valid_train valid_seen valid_unseen needs data",
    ]
    assert rows["AgentGym/WebShop-v0"][0] == "webshop missing"
    assert rows["AgentGym/WebShop-v0"][3:5] == ["—", "—"]
    assert rows["twenty_questions_v0"][-1] == "train 187, valid 32, test 43"


def test_a_wide_terminal_has_as_much_as_a_pipe():
    assert printed(terminal=True, width=300).splitlines() == printed().splitlines()


def test_what_was_measured_of_a_game_is_told_by_role(monkeypatch):
    monkeypatch.setattr("trainers.env_table.figures_of", FIGURES.get)
    assert success_in_words("kuhn_poker_v0", "random") == "first 70 (60 to 78), second 30 (22 to 40)"
    assert success_in_words("kuhn_poker_v0", "expert") == "50 (40 to 60)"  # a team, or a draw


def test_splits_say_which_extra_they_need(monkeypatch):
    from agent_gym.envs.webshop.env import WebshopEnv

    def tasks(env, split):
        raise MissingExtraError("Install it with: pip install 'agent-gym[webshop]'")

    monkeypatch.setattr(WebshopEnv, "tasks", tasks)
    splits = splits_of("AgentGym/WebShop-v0")
    assert splits.counts == {}
    assert "pip install 'agent-gym[webshop]'" in splits.reasons["an extra"]
    told = "generated_train generated_valid generated_test train valid test needs an extra"
    assert splits_in_words(splits) == told


def test_published_games_are_counted_where_they_are(alfworld_data, monkeypatch):
    monkeypatch.setenv("ALFWORLD_DATA", str(alfworld_data))
    assert splits_of("AgentGym/ALFWorld-v0").counts["valid_seen"] == 140


def test_splits_say_where_data_was_looked_for(tmp_path, monkeypatch):
    def reason():
        return splits_of("AgentGym/ALFWorld-v0").reasons["data"]

    monkeypatch.setenv("ALFWORLD_DATA", str(tmp_path / "nowhere"))
    assert f"as ALFWORLD_DATA says, but '{tmp_path / 'nowhere'}' does not exist. The package alfworld has" in reason()
    monkeypatch.setenv("ALFWORLD_DATA", str(tmp_path))
    assert f"'{tmp_path / 'json_2.1.1' / 'train'}' or '{tmp_path / 'train'}'" in reason()
    (tmp_path / "valid_seen").mkdir()
    assert set(splits_of("AgentGym/ALFWorld-v0").lacking) == {"train", "valid_train", "valid_unseen"}
    monkeypatch.delenv("ALFWORLD_DATA")
    assert "ALFWORLD_DATA, which is not set. The package alfworld has a command" in reason()
