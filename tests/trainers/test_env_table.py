import io

from rich.console import Console

from agent_gym.suite_figures import Figures, Outcome, PlayFigures
from trainers.env_table import env_table, success_in_words
from trainers.tables import show_table


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


def rows_of(text):
    """The number of tasks by id and split."""
    rows, env_id = {}, ""
    for line in text.splitlines():
        if len(cells := [cell.strip() for cell in line.split("│")[1:]]) > 3:
            env_id = cells[0] or env_id  # said once, in the first of its rows
            rows[env_id, cells[2]] = cells[3]
    return rows


def printed():
    console = Console(file=io.StringIO(), width=80)
    show_table(console, env_table())
    return console.file.getvalue()


def test_env_table_counts_tasks(monkeypatch):
    monkeypatch.delenv("ALFWORLD_DATA", raising=False)
    text = printed()
    assert "AgentGym/ALFWorld-v0" in text
    rows = rows_of(text)
    assert rows["AgentGym/ALFWorld-v0", "generated_test"] == "400"
    assert rows["AgentGym/ALFWorld-v0", "valid_seen"] == "needs data"
    assert rows["AgentGym/WebShop-v0", "test"] == "needs data"
    assert rows["twenty_questions_v0", "test"] == "43"
    assert "Settings of AgentGym/ALFWorld-v0: engine (native or textworld" in text
    assert "), data, wording, difficulty." in text
    assert "Settings of kuhn_poker_v0: none." in text


def test_env_table_shows_what_was_measured(monkeypatch):
    monkeypatch.setattr("trainers.env_table.figures_of", FIGURES.get)
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed().splitlines() if "│" in line]
    first = {cells[0]: cells[1:] for cells in lines}
    assert first["AgentGym/ALFWorld-v0"] == ["", "train", "needs data", "1,234", "7 (3 to 14)", "100 (96 to 100)"]
    assert first["AgentGym/WebShop-v0"] == ["webshop", "train", "needs data", "—", "—", "—"]


def test_what_was_measured_of_a_game_is_told_by_role(monkeypatch):
    monkeypatch.setattr("trainers.env_table.figures_of", FIGURES.get)
    assert success_in_words("kuhn_poker_v0", "random") == "first 70 (60 to 78), second 30 (22 to 40)"
    assert success_in_words("kuhn_poker_v0", "expert") == "50 (40 to 60)"  # a team, or a draw


def test_env_table_says_which_extra_an_environment_needs(monkeypatch):
    from agent_gym.envs.webshop.env import WebshopEnv
    from agent_gym.errors import MissingExtraError

    def tasks(env, split):
        raise MissingExtraError("Install it with: pip install 'agent-gym[webshop]'")

    monkeypatch.setattr(WebshopEnv, "tasks", tasks)
    text = printed()
    assert "needs an extra" in text
    assert "AgentGym/WebShop-v0 needs an extra for train, valid, test, generated_train, generated_valid," in text
    assert "pip install 'agent-gym[webshop]'" in text


def test_env_table_counts_published_games_where_they_are(alfworld_data, monkeypatch):
    monkeypatch.setenv("ALFWORLD_DATA", str(alfworld_data))
    [line] = [line for line in printed().splitlines() if "valid_seen" in line]
    assert "140" in line


def test_env_table_says_where_data_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("ALFWORLD_DATA", str(tmp_path / "nowhere"))
    text = printed()
    assert "AgentGym/ALFWorld-v0 needs data for train, valid_train, valid_seen, valid_unseen." in text
    assert f"as ALFWORLD_DATA says, but '{tmp_path / 'nowhere'}' does not exist. The package alfworld has" in text
    monkeypatch.setenv("ALFWORLD_DATA", str(tmp_path))
    assert f"'{tmp_path / 'json_2.1.1' / 'train'}' or '{tmp_path / 'train'}'" in printed()
    (tmp_path / "valid_seen").mkdir()
    assert "needs data for train, valid_train, valid_unseen." in printed()
    monkeypatch.delenv("ALFWORLD_DATA")
    assert "ALFWORLD_DATA, which is not set. The package alfworld has a command" in printed()
