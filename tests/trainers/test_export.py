import json
from pathlib import Path
from typing import Any

import pytest

from agent_gym.errors import BadOptionError, DataNotFoundError
from tests.trainers.example_run import write_run
from trainers.cli import main
from trainers.export import COLUMNS, export


def episode(**changes: Any) -> dict[str, Any]:
    turns = [
        {"observation": "A room.", "answer": "go north"},
        {"observation": "A wall.", "answer": "look"},
    ]
    known = {"iteration": 3, "task": "t/1", "member": 0, "status": "finished", "success": True, "score": 1.0}
    return known | {"return": 0.5, "system": "Play.", "turns": turns} | changes


def write_episodes(directory: Path, *episodes: dict[str, Any]) -> Path:
    directory.mkdir()
    (directory / "episodes.jsonl").write_text("".join(json.dumps(one) + "\n" for one in episodes))
    return directory


def test_messages_are_the_episode_as_a_conversation(tmp_path: Path) -> None:
    run = write_episodes(tmp_path / "run", episode())
    done = export(run)
    assert (done.path, done.conversations, done.left_out) == (run / "messages.jsonl", 1, 0)
    assert [json.loads(line) for line in done.path.read_text().splitlines()] == [
        {
            "messages": [
                {"role": "system", "content": "Play."},
                {"role": "user", "content": "A room."},
                {"role": "assistant", "content": "go north"},
                {"role": "user", "content": "A wall."},
                {"role": "assistant", "content": "look"},
            ],
            "iteration": 3,
            "task": "t/1",
            "member": 0,
            "status": "finished",
            "success": True,
            "score": 1.0,
            "return": 0.5,
        }
    ]


def test_sharegpt_is_one_array(tmp_path: Path) -> None:
    run = write_episodes(tmp_path / "run", episode(system=""), episode(member=1))
    first, second = json.loads(export(run, "sharegpt").path.read_text())
    assert first["conversations"] == [
        {"from": "human", "value": "A room."},
        {"from": "gpt", "value": "go north"},
        {"from": "human", "value": "A wall."},
        {"from": "gpt", "value": "look"},
    ]
    assert [message["from"] for message in second["conversations"]] == ["system", "human", "gpt", "human", "gpt"]
    assert (first["member"], second["member"]) == (0, 1)


@pytest.mark.parametrize(("format", "empty"), [("messages", ""), ("sharegpt", "[]")])
def test_episodes_without_an_answer_or_without_success_can_be_left_out(tmp_path: Path, format: Any, empty: str) -> None:
    run = write_episodes(tmp_path / "run", episode(turns=[]), episode(success=False))
    assert export(run, format).conversations == 1
    done = export(run, format, tmp_path / "out", successes_only=True)
    assert (done.conversations, done.left_out) == (0, 2)
    assert done.path.read_text() == empty


def test_what_somebody_else_has_played_is_left_out(tmp_path: Path) -> None:
    run = write_episodes(tmp_path / "run", episode(player="expert"), episode(against="expert"))
    done = export(run, successes_only=True)
    assert (done.conversations, done.left_out) == (1, 1)


def test_text_that_utf8_cannot_hold_is_replaced_and_everything_else_survives(tmp_path: Path) -> None:
    text = 'half \ud800, "quoted"\n</s>\u2028🏠 Grüße\x00'
    run = write_episodes(tmp_path / "run", episode(turns=[{"observation": text, "answer": text}]))
    # A half of a surrogate pair is three bytes, none of them valid alone: three replacement characters.
    kept = text.replace("\ud800", "\ufffd" * 3)
    (line,) = export(run).path.read_text().splitlines()
    assert [message["content"] for message in json.loads(line)["messages"][1:]] == [kept, kept]


def test_real_run_exports_every_turn(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", iterations=2, tasks=1, members=3)
    lines = [json.loads(line) for line in (run / "episodes.jsonl").read_text().splitlines()]
    rows = [json.loads(line) for line in export(run).path.read_text().splitlines()]
    assert len(rows) == 6
    for line, row in zip(lines, rows, strict=True):
        system, *rest = row["messages"]
        assert system["role"] == "system"
        assert "Give exactly one command" in system["content"]
        assert [message["content"] for message in rest[::2]] == [turn["observation"] for turn in line["turns"]]
        assert [message["content"] for message in rest[1::2]] == [turn["answer"] for turn in line["turns"]]
        assert {name: row[name] for name in COLUMNS} == {name: line[name] for name in COLUMNS}


def test_chat_templates_take_the_messages(tmp_path: Path) -> None:
    template = pytest.importorskip("transformers.utils.chat_template_utils", reason="needs transformers")
    pytest.importorskip("jinja2", reason="needs jinja2")
    run = write_episodes(tmp_path / "run", episode())
    messages = json.loads(export(run).path.read_text())["messages"]
    chatml = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    (rendered,), _ = template.render_jinja_template([messages], chat_template=chatml)
    assert rendered.startswith("<|im_start|>system\nPlay.<|im_end|>\n<|im_start|>user\nA room.<|im_end|>\n")
    assert rendered.count("<|im_start|>assistant") == 2


def test_mistakes_say_what_to_do(tmp_path: Path) -> None:
    run = write_episodes(tmp_path / "run", episode())
    with pytest.raises(BadOptionError, match="Did you mean 'sharegpt'"):
        export(run, "sharegtp")  # type: ignore[arg-type]  # what is refused
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "metrics.jsonl").touch()
    with pytest.raises(DataNotFoundError, match=r"output\.episodes"):
        export(bare)
    with pytest.raises(DataNotFoundError, match="no directory"):
        export(tmp_path / "nowhere")


def test_command_counts_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_episodes(tmp_path / "run", episode(), episode(success=False))
    with (run / "episodes.jsonl").open("a") as file:
        file.write('{"turns": [1, 2]}\n{torn')
    output = tmp_path / "data.json"
    assert main(["export", str(run), "--format", "sharegpt", "--output", str(output), "--successes-only"]) == 0
    told = capsys.readouterr().out
    assert "1 conversation" in told
    assert "1 episode was left out" in told
    assert "2 damaged lines" in told
    assert len(json.loads(output.read_text())) == 1
