"""Where the report's parts lie, as a browser measures them: on a phone and in a wide window."""

import json
import time
from pathlib import Path

import pytest

from tests.trainers.chromium import Tab, browser_tab
from tests.trainers.example_run import episode, turn, write_episodes, write_run
from trainers.report import view

WIDTH_OF_A_PHONE = 390
BOXES = """(where) => [...document.querySelectorAll(where)].map((one) => {
  const { left, right, top, bottom, width } = one.getBoundingClientRect();
  return { left, right, top, bottom, width };
})"""

LINES_OF_A_MAP = """(() => {
  const text = document.querySelector(".turn-card .observation").firstChild;
  const range = new Range();
  return [0, 10, 20].map((from) => {
    range.setStart(text, from);
    range.setEnd(text, from + 9);
    const [box, ...others] = range.getClientRects();
    return [box.width, others.length];
  });
})()"""


def boxes(tab: Tab, selector: str) -> list[dict[str, float]]:
    """Where the elements lie in the window, in pixels."""
    found: list[dict[str, float]] = tab.evaluate(f"({BOXES})({json.dumps(selector)})")
    return found


def go_to(tab: Tab, address: str) -> None:
    """Go to a section of the report that is open, and wait until it is there."""
    tab.evaluate(f"location.hash = {json.dumps(address)}")
    end = time.monotonic() + 60
    while tab.evaluate("document.documentElement.dataset.ready") != f"#{address}":
        assert time.monotonic() < end, f"{address} did not come"
        time.sleep(0.02)


def test_a_phone_shows_all_of_it(tmp_path: Path) -> None:
    report = view(write_run(tmp_path / "run"))
    with browser_tab(tmp_path / "profile") as tab:
        tab.screenshot(tmp_path / "empty.png", WIDTH_OF_A_PHONE, 844)
        tab.open(report.as_uri())
        for address in ("settings", "tasks", "episodes/9/0", "overview"):
            go_to(tab, address)
            width = tab.evaluate("document.documentElement.scrollWidth")
            assert width == WIDTH_OF_A_PHONE, f"{address} is {width} pixels wide"
        [name], [theme], tabs = boxes(tab, ".brand"), boxes(tab, "#theme"), boxes(tab, "nav button")
        assert name["width"] > 40
        assert theme["right"] <= WIDTH_OF_A_PHONE
        assert len(tabs) == 4
        assert all(one["top"] >= max(name["bottom"], theme["bottom"]) for one in tabs)
        assert all(one["right"] <= WIDTH_OF_A_PHONE for one in tabs)
        cards = boxes(tab, ".figure-card")
        assert len(cards) > 2
        assert len({card["left"] for card in cards}) == 2  # in two columns

        go_to(tab, "tasks")
        [space] = boxes(tab, ".tasks .space")  # without the scrollbar
        rates = boxes(tab, ".tasks .rate .figure")
        assert len(rates) == 6
        assert all(rate["right"] <= space["right"] for rate in rates)
        cut = "[...document.querySelectorAll('.tasks .figure')].filter((one) => one.scrollWidth > one.clientWidth)"
        assert tab.evaluate(f"{cut}.length") == 0  # no number is shortened

        go_to(tab, "episodes/9/0")
        [group, *_] = boxes(tab, ".anchor")
        answers = boxes(tab, ".answer-line")
        assert len(answers) >= 4  # every member of the group starts in this state
        assert all(answer["width"] > 0.8 * group["width"] for answer in answers)
        assert not tab.complaints


@pytest.mark.parametrize("width", [WIDTH_OF_A_PHONE, 1280])
def test_lines_of_a_map_are_equally_wide(tmp_path: Path, width: int) -> None:
    run = write_episodes(tmp_path / "run", episode(turns=[turn(observation="#########\n#...#...#\n#..@#..k#")]))
    with browser_tab(tmp_path / "profile") as tab:
        tab.screenshot(tmp_path / "empty.png", width)
        tab.open(view(run).as_uri())
        go_to(tab, "episodes/0")
        lines = tab.evaluate(LINES_OF_A_MAP)
    assert lines == [[lines[0][0], 0]] * 3  # three lines that are not broken, of one width
