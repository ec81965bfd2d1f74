import io

from rich.console import Console

from trainers.env_table import env_table


def printed():
    console = Console(file=io.StringIO(), width=80)
    console.print(env_table())
    return console.file.getvalue()


def test_env_table_counts_tasks(monkeypatch):
    monkeypatch.delenv("ALFWORLD_DATA", raising=False)
    text = printed()
    assert "AgentGym/ALFWorld-v0" in text
    rows = {
        cells[1]: cells[2] for line in text.splitlines() if len(cells := [c.strip() for c in line.split("│")[1:]]) > 3
    }
    assert rows["generated_test"] == "400"
    assert rows["valid_seen"] == "needs data"
    assert "Settings of AgentGym/ALFWorld-v0: engine, data, wording, difficulty." in text
    assert "native" in text


def test_env_table_counts_published_games_where_they_are(alfworld_data, monkeypatch):
    monkeypatch.setenv("ALFWORLD_DATA", str(alfworld_data))
    [line] = [line for line in printed().splitlines() if "valid_seen" in line]
    assert "140" in line
