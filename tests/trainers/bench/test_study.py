import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from agent_gym.errors import AgentGymError, BadOptionError
from trainers.bench.plots import plot_curves, plot_profiles
from trainers.bench.report import arena_table, episodes_to_threshold, last, overview_table, unfinished
from trainers.bench.report import test_table as table_of_tests
from trainers.bench.schedule import run_study
from trainers.bench.store import load_results
from trainers.bench.study import Arena, Run, Study, area, load_study, played
from trainers.cli import main, make_envs
from trainers.config import RolloutConfig, TrainConfig
from trainers.credit import Gigpo, Grpo

STUDY = """
name = "small"
seeds = 3
sweep_seeds = 2
rates = [0.1, 0.5]

[arenas.rooms]
metric = "rollout/success"
threshold = 0.5
config.env = { id = "AgentGym/Rooms-v0", num_envs = 16, settings = { layouts = 1 } }
config.model = { path = "tabular" }
config.rollout = { groups = 2, group_size = 8, max_new_tokens = 1 }
config.loss = { kl_weight = 0.0 }
config.output = { episodes = false, report_to = [] }
config.iterations = 4
tests.other = { split = "test", tasks = 2 }

[arenas.slow]
metric = "-rollout/length"
config.env = { id = "AgentGym/Rooms-v0", settings = { regime = "slow" } }
config.model = { path = "tabular" }

[methods.grpo]
config.credit = { method = "grpo" }

[methods.gigpo]
config.credit = { method = "gigpo", gamma = 0.9 }
arenas = ["rooms"]
note = "for this test"
"""


@pytest.fixture
def study(tmp_path) -> Study:
    path = tmp_path / "small.toml"
    path.write_text(STUDY)
    return load_study(path)


def result(study: Study, run: Run, values: list[float]) -> dict[str, Any]:
    column = study.arenas[run.arena].column
    return {"curve": {column: values}, "fingerprint": study.fingerprint(run)}


def test_a_run_is_the_arena_changed_by_method_rate_and_seed(study):
    config = study.config(Run(arena="rooms", method="gigpo", seed=2, rate=0.5))
    assert config.credit == Gigpo(gamma=0.9)
    assert (config.seed, config.learner.learning_rate, config.iterations) == (2, 0.5, 4)
    assert isinstance(study.config(Run(arena="slow", method="grpo", seed=0, rate=0.1)).credit, Grpo)


def test_rates_are_swept_first_and_then_the_best_goes_on(study):
    runs = study.next_runs({})
    # Three pairs of method and arena (gigpo has nothing to do in slow), two rates, two seeds; seed 0 first.
    assert len(runs) == 12
    assert [run.seed for run in runs] == [0] * 6 + [1] * 6
    # In rooms the larger rate is better for grpo, the smaller for gigpo; in slow shorter is better.
    values = {
        ("rooms", "grpo", 0.1): 0.2, ("rooms", "grpo", 0.5): 0.4, ("rooms", "gigpo", 0.1): 0.9,
        ("rooms", "gigpo", 0.5): 0.8, ("slow", "grpo", 0.1): 30.0, ("slow", "grpo", 0.5): 50.0,
    }  # fmt: skip
    results = {run: result(study, run, [values[run.arena, run.method, run.rate or 0.0]] * 3) for run in runs}
    chosen = {(a.name, m.name): study.best_rate(a, m, results) for a, m in study.pairs()}
    assert chosen == {("rooms", "grpo"): 0.5, ("rooms", "gigpo"): 0.1, ("slow", "grpo"): 0.1}
    third = study.next_runs(results)
    assert [(run.arena, run.method, run.rate, run.seed) for run in third] == [
        ("rooms", "gigpo", 0.1, 2),
        ("rooms", "grpo", 0.5, 2),
        ("slow", "grpo", 0.1, 2),
    ]
    results |= {run: result(study, run, [0.0]) for run in third}
    assert study.next_runs(results) == []
    rooms, grpo = study.arenas["rooms"], study.methods["grpo"]
    assert sorted(study.chosen(rooms, grpo, results)) == [0, 1, 2]


def test_a_sweep_whose_best_rate_is_its_last_goes_on(study):
    rooms, grpo = study.arenas["rooms"], study.methods["grpo"]
    study = replace(study, widen=2)
    worth = {0.1: 0.2, 0.5: 0.4, 2.5: 0.6, 12.5: 0.8}  # ever better by a factor of five, but two steps are the most
    results: dict[Run, dict[str, Any]] = {}
    seen = []
    while waiting := [run for run in study.sweep(rooms, grpo, results) if run not in results]:
        seen.append(sorted({run.rate for run in waiting}))
        results |= {run: result(study, run, [worth[run.rate]]) for run in waiting}
    assert seen == [[0.1, 0.5], [2.5], [12.5]]
    assert (study.best_rate(rooms, grpo, results), study.rates_tried(rooms, grpo, results)[-1]) == (12.5, 12.5)
    # The other way: 0.1 is better than 0.5, 0.02 is not better than 0.1, so the best lies within.
    worth = {0.02: 0.3, 0.1: 0.4, 0.5: 0.2}
    results = {}
    while waiting := [run for run in study.sweep(rooms, grpo, results) if run not in results]:
        results |= {run: result(study, run, [worth[run.rate]]) for run in waiting}
    assert study.rates_tried(rooms, grpo, results) == (0.02, 0.1, 0.5)
    assert study.best_rate(rooms, grpo, results) == 0.1


def test_an_unfinished_study_says_so(study):
    runs = study.next_runs({})
    results = {run: result(study, run, [0.5]) for run in runs[:-1]}  # all of the sweep but slow, grpo, 0.5, seed 1
    third = "at least 3 runs are missing"  # that one, and the third seed of the two pairs whose sweep is done
    assert unfinished(study, results) == (
        f"**Unfinished: {third}.** Rates are provisional, since their sweep goes on, for slow/grpo."
    )
    results |= {run: result(study, run, [0.5]) for run in runs[-1:]}
    assert unfinished(study, results) == "**Unfinished: at least 3 runs are missing.**"  # three pairs, the third seed
    results |= {run: result(study, run, [0.5]) for run in study.next_runs(results)}
    assert unfinished(study, results) == ""


def test_a_rate_is_provisional_while_its_sweep_goes_on(study):
    rooms, grpo = study.arenas["rooms"], study.methods["grpo"]
    results = {}

    def best(rate, seed, value):
        run = Run(arena="rooms", method="grpo", seed=seed, rate=rate)
        results[run] = result(study, run, [value])
        return study.best_rate(rooms, grpo, results)

    assert best(0.1, 0, 0.4) is None  # nothing is whole yet: no seed has all rates, no rate has all seeds
    assert best(0.1, 1, 0.4) == 0.1  # the only rate with all seeds
    assert best(0.5, 0, 0.6) == 0.5  # better on the seed that both have
    assert best(0.5, 1, 0.1) == 0.1  # 0.4 on average against 0.35


def test_what_counts_is_what_differs_from_the_defaults(study, tmp_path):
    run = Run(arena="rooms", method="gigpo", seed=0, rate=0.1)
    path = tmp_path / "other.toml"

    def fingerprint(old: str, new: str) -> str:
        path.write_text(STUDY.replace(old, new))
        return load_study(path).fingerprint(run)

    same = study.fingerprint(run)
    assert fingerprint("gamma = 0.9", "gamma = 0.9, step_weight = 1.0") == same  # 1.0 is the default
    assert fingerprint("gamma = 0.9", "gamma = 0.8") != same
    assert fingerprint('method = "gigpo", gamma = 0.9', 'method = "rloo"') != same
    assert fingerprint("tasks = 2", "tasks = 3") != same


def test_a_result_counts_only_for_the_configuration_it_was_made_with(study, tmp_path):
    run = Run(arena="rooms", method="grpo", seed=0, rate=0.1)
    stored = {"arena": "rooms", "method": "grpo", "seed": 0, "rate": 0.1, **result(study, run, [0.5])}
    path = tmp_path / run.path
    path.parent.mkdir()
    path.write_text(json.dumps(stored))
    assert list(load_results(study, tmp_path)[0]) == [run]
    changed = tmp_path / "changed.toml"
    changed.write_text(STUDY.replace("iterations = 4", "iterations = 5"))
    assert load_results(load_study(changed), tmp_path) == ({}, [str(path)])
    path.write_text("{")
    with pytest.raises(BadOptionError, match="delete it"):
        load_results(study, tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("sweep_seeds", "sweep_seed", "Did you mean 'sweep_seeds'"),
        ("seeds = 3", "seeds = 0", "seeds must be a whole number of 1 or more, got 0"),
        ("gamma = 0.9", "gama = 0.9", "Did you mean 'gamma'"),
        ('arenas = ["rooms"]', 'arenas = ["room"]', "Did you mean 'rooms'"),
        ('method = "grpo"', 'method = "grop"', "Did you mean 'grpo'"),
        (
            'split = "test"',
            'split = "valid"\ntests.two = { splt = "x" }',
            "Did you mean 'split'|must be tasks|expected",
        ),
        ("[methods.grpo]", "[method.grpo]", "Did you mean 'methods'"),
        ("seeds = 3", "seeds = ", "expected TOML"),
    ],
)
def test_a_study_that_means_nothing_is_refused(tmp_path, old, new, message):
    path = tmp_path / "wrong.toml"
    path.write_text(STUDY.replace(old, new, 1))
    with pytest.raises(AgentGymError, match=message):
        load_study(path)


def test_tests_decide_nothing(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY.replace("config.iterations = 4", 'config.evaluation = { split = "test" }'))
    with pytest.raises(BadOptionError, match="trained on or chosen by"):
        load_study(path)


def test_figures_of_a_curve():
    arena = Arena(name="a", config=TrainConfig(), metric="-rollout/length", threshold=4.0)
    run = {"curve": {"rollout/length": [9, 8, 7, 5, 4, 4, 4, 3, 3, 3, 3, 2]}, "episodes_per_iteration": 10}
    # Means of five: 6.6 (9 8 7 5 4), 5.6, 4.8, 4.0 (5 4 4 4 3): reached after the eighth iteration, 80 episodes.
    assert episodes_to_threshold(arena, run) == 80
    assert last(run, "rollout/length") == 2  # the last tenth of twelve is one iteration
    never = Arena(name="a", config=TrainConfig(), threshold=0.5)
    assert episodes_to_threshold(never, {"curve": {"rollout/success": [0.1] * 6}, "episodes_per_iteration": 10}) is None


def test_scores_are_shown_where_they_say_more_than_success(study):
    rooms, grpo = study.arenas["rooms"], study.methods["grpo"]

    def table(score: float) -> str:
        figures = {"success": 0.5, "length": 4.0, "score": score}
        played = {"before": {"other": figures | {"score": 0.5}}, "after": {"other": figures}}
        runs = {
            run: result(study, run, [0.5]) | played
            for run in (
                Run(arena="rooms", method="grpo", seed=seed, rate=rate) for seed in (0, 1, 2) for rate in (0.1, 0.5)
            )
        }
        return table_of_tests(study, rooms, [grpo], runs)

    assert "| score, % |" in table(0.75)
    assert "| 50.0 → 75.0 |" in table(0.75)
    assert "score" not in table(0.5)


def test_a_metric_of_which_less_is_better_says_so(study):
    slow, grpo = study.arenas["slow"], study.methods["grpo"]
    runs = {
        run: result(study, run, [8.0, 4.0])
        for run in (Run(arena="slow", method="grpo", seed=seed, rate=rate) for seed in (0, 1, 2) for rate in (0.1, 0.5))
    }
    for run in runs.values():
        run["episodes_per_iteration"] = 16
    assert "| mean rollout/length (less is better) |" in arena_table(study, slow, [grpo], runs)
    assert "| rooms, success | slow, length (less is better) |" in overview_table(study, runs)
    assert plot_curves(study, slow, [grpo], runs).axes[0].get_ylabel() == "rollout/length (less is better)"
    profiles = plot_profiles({"grpo": np.array([[0.0], [1.0]])})
    assert profiles.get_suptitle().startswith("performance profiles")


def test_bench_runs_a_study_once_and_writes_what_it_found(tmp_path, capsys):
    text = STUDY.replace("rates = [0.1, 0.5]", "rates = [0.5]").replace("seeds = 3", "seeds = 2", 1)
    start, end = text.index("[arenas.slow]"), text.index("[methods.grpo]")
    path = tmp_path / "small.toml"
    path.write_text(text[:start] + text[end:])
    words = ["bench", str(path), "--scratch", str(tmp_path / "scratch"), "--jobs", "1"]
    assert main([*words, "--dry-run"]) == 0
    assert "4 runs can be started now" in capsys.readouterr().out
    assert main(words) == 0
    first = capsys.readouterr().out
    files = sorted(file.relative_to(tmp_path).as_posix() for file in (tmp_path / "small").rglob("*.json"))
    assert files == [f"small/rooms/{method}-lr0.5-{seed}.json" for method in ("gigpo", "grpo") for seed in (0, 1)]
    found = json.loads((tmp_path / files[0]).read_text())
    assert len(found["curve"]["rollout/success"]) == 4
    assert set(found["after"]["other"]) >= {"success", "interval", "length", "tasks"}
    assert (tmp_path / "small" / "rooms.png").stat().st_size > 10_000
    assert "gigpo − grpo" in first
    before = {file: (tmp_path / file).stat().st_mtime_ns for file in files}
    assert main(words) == 0
    assert {file: (tmp_path / file).stat().st_mtime_ns for file in files} == before
    assert main([*words, "--report-only"]) == 0
    assert "gigpo − grpo" in capsys.readouterr().out


def test_a_study_that_is_told_to_stop_leaves_no_worker_and_goes_on(tmp_path, capsys):
    text = STUDY.replace("rates = [0.1, 0.5]", "rates = [0.5]").replace("seeds = 3", "seeds = 1", 1)
    start, end = text.index("[arenas.slow]"), text.index("[methods.gigpo]")
    methods = text[text.index("[methods.grpo]") : end]
    path = tmp_path / "small.toml"
    path.write_text((text[:start] + methods).replace("config.iterations = 4", "config.iterations = 5000"))
    words = ["bench", str(path), "--scratch", str(tmp_path / "scratch"), "--jobs", "1"]
    program = f"import sys; from trainers.cli import main; sys.exit(main({words!r}))"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL) as process:
        while not (found := list((tmp_path / "scratch").rglob("metrics.jsonl"))):
            assert process.poll() is None
            time.sleep(0.1)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.terminate()
        assert process.wait(timeout=120) == 130
    assert children
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    done = len(found[0].read_text().splitlines())
    assert done < 5000
    assert not list((tmp_path / "small").rglob("*.json"))  # half a run is no result
    path.write_text(path.read_text().replace("config.iterations = 5000", f"config.iterations = {done + 1}"))
    assert main(words) == 0
    assert "Tables and plots are in" in capsys.readouterr().out


def test_settings_of_all_runs_and_rates_of_a_method(tmp_path):
    path = tmp_path / "study.toml"
    head = STUDY
    for old, new in (
        ('name = "small"', 'name = "small"\nalways.loss.kl_weight = 0.5\nconfig.rollout.groups = 3'),
        ("gamma = 0.9 }", "gamma = 0.9 }\nrates = [7]"),
        ('metric = "-rollout', 'rates = [2, 4]\nmetric = "-rollout'),
    ):
        head = head.replace(old, new)
    path.write_text(head)
    study = load_study(path)
    runs = study.next_runs({})
    rates: dict[tuple[str, str], set[float | None]] = {}
    for run in runs:
        rates.setdefault((run.arena, run.method), set()).add(run.rate)
    assert rates == {("rooms", "grpo"): {0.1, 0.5}, ("rooms", "gigpo"): {7}, ("slow", "grpo"): {2, 4}}
    # The only rate of a method needs no sweep: all three seeds at once.
    assert [run.seed for run in runs if run.method == "gigpo"] == [0, 1, 2]
    configs = {run.arena: study.config(run) for run in runs}
    assert {name: config.rollout.groups for name, config in configs.items()} == {"rooms": 2, "slow": 3}
    # Over what the arena (rooms has 0.0) and the method say.
    assert {config.loss.kl_weight for config in configs.values()} == {0.5}


def test_episodes_count_and_not_iterations(tmp_path):
    config = TrainConfig(iterations=3, rollout=RolloutConfig(groups=2, group_size=8))
    arena = Arena(name="a", config=config, threshold=0.6)
    run = {"curve": {"rollout/success": [0.2, 0.6], "episodes": [16, 48]}, "episodes_per_iteration": 16}
    assert arena.episodes == 48
    # The second iteration's first 32 count, what is beyond the arena's 48 does not: (16 · 0.2 + 32 · 0.6) / 48.
    assert area(arena, run) == pytest.approx(22.4 / 48)
    assert played(run) == [16, 64]
    # At 16, 32 and 48 episodes it stood, by straight lines, at 0.2, 0.333 and 0.467: their mean is 1/3.
    assert episodes_to_threshold(replace(arena, threshold=0.33), run) == 48
    assert episodes_to_threshold(replace(arena, threshold=0.34), run) is None
    # Of a method that plays as many in each iteration, the mean over iterations.
    run = {"curve": {"rollout/success": [0.2, 0.3, 0.7]}, "episodes_per_iteration": 16}
    assert area(arena, run) == pytest.approx(0.4)


def test_a_run_ends_when_it_has_played_the_arenas_episodes(tmp_path):
    path = tmp_path / "sampling.toml"
    path.write_text(
        """
name = "sampling"
seeds = 1
rates = [1.0]
store = "lines"
[arenas.sparse]
config.env = { id = "AgentGym/Rooms-v0", num_envs = 8, settings = { regime = "sparse", layouts = 1 } }
config.model = { path = "tabular" }
config.rollout = { groups = 2, group_size = 4, max_new_tokens = 1 }
config.output = { episodes = false, report_to = [] }
config.iterations = 4
[methods.grpo]
use = "grpo"
[methods.dapo]
use = "dapo"
config.dynamic_sampling = { max_tries = 3 }
"""
    )
    study, results = load_study(path), tmp_path / "sampling"
    console = Console(quiet=True)
    found = run_study(study, make_envs, results=results, scratch=tmp_path / "scratch", jobs=1, console=console)
    assert found == load_results(study, results)[0]  # with the decimals that a second call would find
    lines = [json.loads(line) for line in (tmp_path / "sampling" / "sparse.jsonl").read_text().splitlines()]
    assert [line["method"] for line in lines] == ["dapo", "grpo"]
    dapo, grpo = (line["curve"] for line in lines)
    assert len(grpo["rollout/success"]) == 4
    assert "episodes" not in grpo
    # Nearly all groups of four fail, so each iteration plays up to three times 8 episodes; the budget is 32.
    assert sum(dapo["episodes"][:-1]) < 32 <= sum(dapo["episodes"])
    assert len(dapo["rollout/success"]) < 4
    assert list((tmp_path / "scratch").rglob("metrics.jsonl")) == []  # hundreds of these would fill a disk
    assert main(["bench", str(path), "--report-only"]) == 0
    report = (tmp_path / "sampling" / "tables.md").read_text()
    assert "2 runs" in report


def test_a_metric_that_no_run_logs_ends_it_at_once(tmp_path, capsys):
    path = tmp_path / "small.toml"
    text = STUDY.partition("[arenas.slow]")[0].replace("rollout/success", "rollout/sucess")
    path.write_text(text.replace("iterations = 4", "iterations = 100000") + "[methods.grpo]\nrates = [0.1]\n")
    assert main(["bench", str(path), "--results", str(tmp_path / "results"), "--jobs", "1"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "arenas.rooms.metric must be what a run logs, got 'rollout/sucess'. Did you mean 'rollout/success'?" in told
    assert "rollout/length" in told
