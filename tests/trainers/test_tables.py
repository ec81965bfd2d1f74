import io

import pytest
from rich.console import Console

from trainers.evaluate import compare, summarise, summary
from trainers.evaluate_report import comparison_table, result_table
from trainers.tables import figures_table, show_table
from trainers.types import Episode, Group

KIND = "pick_heat_then_place_in_recep_from_a_far_room"


def groups(*wins):
    return [
        Group(task=str(n), episodes=(Episode(turns=(), success=won, kind=f"{KIND}_{n}"),)) for n, won in enumerate(wins)
    ]


def shown(table, width, *, terminal=False):
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    show_table(console, table)
    return console.file.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("width", [10, 80, 200])
def test_an_evaluation_has_all_its_columns_at_any_width(width, terminal):
    text = shown(result_table("a model on a split", summarise(groups(True, False))), width, terminal=terminal)
    title, heading, *_, last = text.splitlines()
    assert title == "a model on a split"
    assert " ".join(heading.split()) == "tasks n success 95 % interval score turns invalid failed"
    # 1 of 2: Wilson's interval is 9.5 to 90.5 (see test_rollout_report.py); no turns, nothing invalid or failed.
    assert " ".join(last.split()) == "all 2 50.0 9.5 to 90.5 0.0 0.0 0.0 0"
    assert "…" not in text


def test_a_comparison_has_all_its_columns_in_a_pipe():
    evaluations = [summary(summarise(groups(*wins)), {}) for wins in ((True, False), (False, False))]
    text = shown(comparison_table(compare(*evaluations)), 80)
    assert " ".join(text.splitlines()[1].split()) == "tasks n A B B - A 95 % interval only A only B"
    assert f"{KIND}_0" in text
    # One of two is solved by A alone: 50 % and 0 %.
    assert text.splitlines()[-1].split()[:5] == ["all", "2", "50.0", "0.0", "-50.0"]


def test_a_long_title_is_one_line():
    title = "runs/a-directory-with-a-long-name/checkpoints/best on generated_test, in [brackets]"
    table = figures_table(title, "tasks", ["n"])
    table.add_row("all", "1")
    assert shown(table, 20).splitlines()[0] == title
