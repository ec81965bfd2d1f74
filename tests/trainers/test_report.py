"""The report is looked at with the browser that people use; without Chromium those tests are skipped."""

import base64
import gzip
import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from agent_gym.errors import BadOptionError, DataNotFoundError
from tests.trainers.example_run import episode, turn, write_episodes, write_run
from trainers.cli import main
from trainers.metric_meanings import MEANINGS
from trainers.report import SCRIPTS, view

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAYLOAD = "document.documentElement.dataset.owned='yes'"
HOSTILE = (
    f"</script><script>{PAYLOAD}</script>",
    f'"><img src=x onerror="{PAYLOAD}">',
    f"<svg onload={PAYLOAD}></svg><!--<script>",
    "\u202eright to left\u202c \u0000\u0007 \ud800 \u2028 🏠 Grüße <b>bold</b> &amp; @@DATA@@",
)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 passes of 3 groups of 4 episodes. Tests only read it, and write reports elsewhere."""
    return write_run(tmp_path_factory.mktemp("runs") / "finished")


def blocks(report: Path) -> dict[str, Any]:
    """What the data blocks of a report hold, by name."""
    found = re.findall(
        r'<script type="text/plain" id="([\w-]+)">([A-Za-z0-9+/=]*)</script>', report.read_text(encoding="utf-8")
    )
    return {name: json.loads(gzip.decompress(base64.b64decode(text))) for name, text in found}


def browse(report: Path, address: str | None, profile: Path) -> str:
    """The page as it stands after its script has run, as HTML; any complaint of the browser fails the test.

    Without an address the page goes where it likes.
    """
    if BROWSER is None:
        pytest.skip("needs a browser: install chromium")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    command += ["--enable-logging=stderr", "--virtual-time-budget=5000", "--window-size=1400,900", "--dump-dom"]
    command.append(report.as_uri() if address is None else f"{report.as_uri()}#{address}")
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=False)
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not complaints
    assert f'data-ready="#{address or ""}' in done.stdout, done.stderr[-2000:]
    return done.stdout


def without_policy(report: Path) -> str:
    """The page as a viewer shows it that ignores the Content-Security-Policy."""
    page = report.read_text(encoding="utf-8")
    policy = re.search(r'<meta http-equiv="Content-Security-Policy"[^>]*>', page)
    assert policy
    return page.replace(policy[0], "")


class Page(HTMLParser):
    """Text that a reader sees, and what the elements around it are."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self._unseen = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        self._unseen += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._unseen -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.parts.append(data)


def text_of(page: str) -> str:
    return "".join(Page(page).parts)


def test_report_holds_every_episode_of_the_run(finished_run: Path, tmp_path: Path) -> None:
    found = blocks(view(finished_run, tmp_path / "report.html"))
    lines = [json.loads(line) for line in (finished_run / "episodes.jsonl").read_text().splitlines()]
    assert len(lines) == 48  # 4 passes of 3 groups of 4
    chunks = [found[f"chunk-{number}"] for number in range(len(found) - 1)]
    assert [one for chunk in chunks for one in chunk] == lines

    columns = found["index"]["episodes"]
    assert [found["index"]["tasks"][task] for task in columns["task"]] == [line["task"] for line in lines]
    assert columns["turns"] == [len(line["turns"]) for line in lines]
    assert columns["success"] == [int(line["success"]) for line in lines]
    assert columns["chunk"] == [number for number, chunk in enumerate(chunks) for _ in chunk]


def test_same_run_gives_the_same_bytes(finished_run: Path, tmp_path: Path) -> None:
    assert view(finished_run, tmp_path / "a.html").read_bytes() == view(finished_run, tmp_path / "b.html").read_bytes()


def test_report_names_no_address_and_allows_no_connection(finished_run: Path, tmp_path: Path) -> None:
    page = view(finished_run, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    # The one address is the name of the SVG vocabulary, which is never fetched.
    assert set(re.findall(r"https?://[^\s\"'<>]+", page)) == {"http://www.w3.org/2000/svg"}
    assert not re.findall(r"<(?:link|img|iframe|object)\b(?![^>]*href=\"data:,\")", page)


def test_scripts_never_read_text_as_markup(root: Path) -> None:
    for name in SCRIPTS:
        script = (root / "trainers" / "report_assets" / name).read_text(encoding="utf-8")
        assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\(", script)
        assert "</script" not in script
        assert "<!--" not in script


def test_large_groups_are_cut_and_small_ones_stay_together(tmp_path: Path) -> None:
    # 1000 characters a turn: three members of a group make 600 000 characters, more than the 400 000 of a chunk, which
    # ends only where the group does.
    long = [turn(observation="x" * 1000) for _ in range(200)]
    run = write_episodes(
        tmp_path / "run", *(episode(task=task, member=member, turns=long) for task in "abc" for member in range(3))
    )
    assert blocks(view(run))["index"]["episodes"]["chunk"] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_damaged_lines_are_told_and_the_rest_is_shown(tmp_path: Path) -> None:
    run = write_episodes(tmp_path / "run", episode())
    with (run / "episodes.jsonl").open("a") as file:
        file.write('{"iteration": 1, "task": "t/1", "tur')
    (run / "metrics.jsonl").write_text('{"iteration": 0, "rollout/success": NaN}\nnonsense\n[1]\n')
    (run / "config.toml").write_text("seed = = 1")
    overview = blocks(view(run))["index"]
    assert overview["episodes"]["turns"] == [1]
    assert overview["metrics"] == [{"iteration": 0}]  # not a number is no number
    unread, metrics, episodes = overview["problems"]
    assert unread.startswith("config.toml can't be read")
    assert metrics == "2 damaged lines were left out of metrics.jsonl"
    assert episodes == "1 damaged line was left out of episodes.jsonl"


def test_metrics_of_an_iteration_are_put_together(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.jsonl").write_text(
        '{"iteration": 1, "loss": {"kl": 2}}\n{"iteration": 0, "loss/kl": 5, "note": "text"}\n'
        '{"iteration": 1, "loss/kl": 3}\n{"iteration": 1, "eval/success": 1}\n'
    )
    assert blocks(view(run))["index"]["metrics"] == [
        {"iteration": 0, "loss/kl": 5},
        {"iteration": 1, "loss/kl": 3, "eval/success": 1},
    ]


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="no directory"):
        view(tmp_path / "nowhere")
    with pytest.raises(DataNotFoundError, match=r"expected metrics\.jsonl or episodes\.jsonl"):
        view(tmp_path)
    run = write_episodes(tmp_path / "run", episode())
    (tmp_path / "directory.html").mkdir()
    with pytest.raises(BadOptionError, match="could not be written"):
        view(run, tmp_path / "directory.html")
    (tmp_path / "file").touch()
    with pytest.raises(BadOptionError, match="must be a file that can be written"):
        view(run, tmp_path / "file" / "report.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["directory.html", "file", "run"]  # no draft is left


def test_command_says_where_the_report_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_episodes(tmp_path / "run", episode())
    assert main(["view", str(run)]) == 0
    assert str(run / "report.html") in capsys.readouterr().out
    assert (run / "report.html").is_file()
    assert main(["view", str(tmp_path / "nowhere")]) == 2


def test_browser_shows_curves_tasks_and_settings(finished_run: Path, tmp_path: Path) -> None:
    report = view(finished_run, tmp_path / "report.html")
    curves = browse(report, "overview", tmp_path / "profile")
    metrics = [json.loads(line) for line in (finished_run / "metrics.jsonl").read_text().splitlines()]
    names = {name for line in metrics for name in line} - {"iteration", "eval/success_low", "eval/success_high"}
    summary = json.loads((finished_run / "summary.json").read_text())
    still = {name for name in names if len({line[name] for line in metrics if name in line}) == 1}
    assert {"rollout/episodes", "rollout/wasted_tokens"} <= still
    # What never moves is told in words; success and length in evaluation share the charts of those in training, and the
    # bounds of the former are a band.
    assert curves.count("<figure") == len(names - still) - 2
    assert "episodes 12" in text_of(curves)
    # The evaluation has a line for each type of task and one for all.
    assert curves.count('class="whisker"') == len({task["kind"] for task in summary["per_task"]}) + 1
    assert "no result to report" in text_of(curves)
    assert curves.count('class="band evaluation"') == 1
    assert "48" in text_of(curves)

    tasks = browse(report, "tasks", tmp_path / "profile")
    assert tasks.count('class="rate"') == 6
    assert "generated_train/000000005" in text_of(tasks)
    settings = text_of(browse(report, "settings", tmp_path / "profile"))
    assert "group_size" in settings
    assert "generated_valid" in settings


def test_browser_shows_an_episode_turn_by_turn(finished_run: Path, tmp_path: Path) -> None:
    report = view(finished_run, tmp_path / "report.html")
    lines = [json.loads(line) for line in (finished_run / "episodes.jsonl").read_text().splitlines()]
    page = browse(report, "episodes/9/0", tmp_path / "profile")
    text = text_of(page)
    shown = lines[9]
    assert page.count('<article class="turn-card') == len(shown["turns"])
    for one in shown["turns"]:
        assert one["observation"] in text
        assert one["answer"] in text
        assert one["state_key"] in text
        sign = "−" if one["advantage"] < 0 else "+"
        assert f"{sign}{abs(one['advantage']):.2f}" in text
    assert page.count('class="member') == 4 + 1  # the group's members, and the box they are in
    visits = [one["state_key"] for line in lines[8:12] for one in line["turns"]]
    first = visits.count(shown["turns"][0]["state_key"])
    assert first >= 4  # every member starts in this state
    assert f"{first} turns of the group" in text
    # The address names turn 0, so what the group did in its state stands below it.
    assert page.count('class="anchor-row') == first


@pytest.mark.parametrize("with_policy", [True, False])
def test_hostile_text_is_shown_and_does_nothing(tmp_path: Path, with_policy: bool) -> None:
    text = " ".join(HOSTILE)
    turns = [turn(state_key=text, observation=text, answer=text, action_valid=False) for _ in range(2)]
    run = write_episodes(
        tmp_path / "run@@DATA@@", episode(task=text, kind=text, status=text, system=text, error=text, turns=turns)
    )
    (run / "metrics.jsonl").write_text(json.dumps({"iteration": 0, f"rollout/{text}": 1, text: 2}) + "\n")
    (run / "summary.json").write_text(json.dumps({text: {text: text}}))
    report = view(run)
    if not with_policy:  # escaping alone must do, as in a viewer that ignores the policy
        report.write_text(without_policy(report), encoding="utf-8")
    for address in ("overview", "tasks", "episodes/0", "settings"):
        page = browse(report, address, tmp_path / "profile")
        elements = Page(page)
        assert "img" not in elements.tags
        assert not [name for name in elements.attributes if name.startswith("on") or name == "data-owned"]
        if address != "overview":
            assert HOSTILE[0] in text_of(page)
            assert "<b>bold</b> &amp;" in text_of(page)
            assert "U+202E" in page  # what would turn the line round is shown by number
    assert html.escape("run@@DATA@@").replace("@", "&#64;") in report.read_text(encoding="utf-8")


def test_others_who_play_along_are_shown_and_not_counted(tmp_path: Path) -> None:
    def played(role: str, member: int, success: bool, turns: int, **more: Any) -> dict[str, Any]:
        return episode(task=f"t/1@{role}", member=member, success=success, turns=[turn()] * turns, kind=role, **more)

    run = write_episodes(
        tmp_path / "run",
        played("first", 0, True, 2, against="expert"),
        played("first", 1, False, 3, against="expert"),
        played("second", 0, True, 4, player="expert"),
        played("second", 1, True, 4, player="expert"),
        played("first", 0, True, 9, player="iteration 0", iteration=1),
    )
    report = view(run)
    overview = text_of(browse(report, "overview", tmp_path / "profile"))
    assert "episodes21 task in 1 group; 3 of other players are not counted" in overview
    assert "turns52.5 per episode" in overview
    tasks = browse(report, "tasks", tmp_path / "profile")
    assert tasks.count('class="rate"') == 1  # nobody learns the second role
    assert "50.0 %" in text_of(tasks)  # and what an earlier self did in the first is not counted
    shown = text_of(browse(report, "episodes/2", tmp_path / "profile"))
    assert "5 episodes" in shown
    assert "of other players" in shown
    assert "played by expert" in shown
    assert "against expert" in text_of(browse(report, "episodes/0", tmp_path / "profile"))


USE = """
<script type="module">
const wait = async (what) => { while (!what()) await new Promise((done) => setTimeout(done, 20)); };
const find = (where) => document.querySelector(where);
const rows = () => [...document.querySelectorAll(".long-list.episodes .row .task")].map((cell) => cell.textContent);
const said = {};
await wait(() => find(".plot"));
find("#theme").click();
said.theme = document.documentElement.dataset.theme;
find(".plot").dispatchEvent(new MouseEvent("click", { clientX: find(".plot").getBoundingClientRect().right }));
await wait(() => find(".turn-card"));
said.iteration = find('select[aria-label="iteration"]').value;
said.shown = find(".count").textContent;
const before = location.hash;
dispatchEvent(new KeyboardEvent("keydown", { key: "j" }));
await wait(() => location.hash !== before);
said.next = [before, location.hash];
const outcome = find('select[aria-label="outcome"]');
outcome.value = "success";
outcome.dispatchEvent(new Event("change"));
said.successes = find(".count").textContent;
[...document.querySelectorAll("nav button")][1].click();
await wait(() => find(".tasks .row"));
find(".row.head button").click();
said.first = find(".tasks .row .task").textContent;
find(".tasks .row").click();
await wait(() => find(".long-list.episodes") && new Set(rows()).size === 1);
said.task = rows()[0];
document.body.append(Object.assign(document.createElement("pre"), { id: "said", textContent: JSON.stringify(said) }));
</script>"""


def test_controls_do_what_they_say(finished_run: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(without_policy(view(finished_run, tmp_path / "report.html")).replace("</body>", USE + "</body>"))
    done = browse(page, None, tmp_path / "profile")
    found = re.search(r'<pre id="said">(.*?)</pre>', done)
    assert found, "the controls were not all there"
    said = json.loads(html.unescape(found[1]))
    lines = [json.loads(line) for line in (finished_run / "episodes.jsonl").read_text().splitlines()]
    last = [number for number, line in enumerate(lines) if line["iteration"] == 3]
    wins = sum(lines[number]["success"] for number in last)
    assert said == {
        "theme": "dark",
        "iteration": "3",  # the right end of a chart is the last of the passes 0 to 3
        "shown": "12 episodes",
        "next": [f"#episodes/{last[0]}", f"#episodes/{last[1]}"],
        "successes": f"{wins} episode{'' if wins == 1 else 's'}",
        "first": "generated_train/000000000",  # a click on the head of a column sorts by it
        "task": "000000000",
    }


def test_names_of_metrics_tell_their_meaning(finished_run: Path, tmp_path: Path) -> None:
    page = browse(view(finished_run, tmp_path / "report.html"), "overview", tmp_path / "profile")
    titles = [html.unescape(title) for title in re.findall(r'<span class="name" title="([^"]*)"', page)]
    told = [line for title in titles for line in title.splitlines()]
    assert f"credit/silent_groups: {MEANINGS['credit/silent_groups']}" in told
    assert f"eval/success: {MEANINGS['eval/success']}" in told  # of both that share a chart
    assert all(": " in line for line in told)
    assert f'<span title="rollout/wasted_tokens: {MEANINGS["rollout/wasted_tokens"]}"' in page  # what never moves


def test_hostile_text_would_act_if_it_were_markup(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(f'<!doctype html><html data-ready="#x"><body>{HOSTILE[0]}{HOSTILE[1]}')
    assert 'data-owned="yes"' in browse(page, "x", tmp_path / "profile")


def test_ten_thousand_episodes_open_as_fast_as_ten(tmp_path: Path) -> None:
    run = write_episodes(
        tmp_path / "run",
        *(
            episode(iteration=number // 80, task=f"t/{number // 8 % 500}", member=number % 8, turns=[turn()] * 15)
            for number in range(10_000)
        ),
    )
    report = view(run)
    chunks = len(blocks(report)) - 1
    assert chunks > 10
    page = browse(report, "episodes/9999", tmp_path / "profile")
    assert "10,000 episodes" in text_of(page)
    assert "iteration 124" in text_of(page)
    # Of the list only the lines in view exist: at most the height of the window, a few above and a few below.
    assert page.count('<button type="button" class="row') < 60
