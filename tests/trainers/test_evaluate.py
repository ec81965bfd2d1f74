import json

import pytest

from agent_gym.errors import BadOptionError, DataNotFoundError
from tests.trainers.corridor import corridor
from trainers.evaluate import (
    compare,
    evaluate,
    hash_model,
    hash_tasks,
    pass_at,
    read_summary,
    summarise,
    summary,
)
from trainers.evaluate_report import comparison_table, result_table
from trainers.policies.base import Sampling
from trainers.policies.scripted import ExpertPolicy, RandomPolicy
from trainers.statistics import wilson_interval
from trainers.types import Episode, Group

GREEDY = Sampling(temperature=0.0)


def group(task, *wins, kind=None):
    return Group(task=task, episodes=tuple(Episode(turns=(), success=bool(won), kind=kind) for won in wins))


def test_every_task_is_played_and_two_runs_agree():
    env = corridor(3)
    tasks = env.tasks("test")[::100]
    results = []
    for slots in (3, 5):
        groups, stats = evaluate(
            RandomPolicy(form="{command}"), corridor(slots), tasks, context="conversation", sampling=GREEDY
        )
        assert [group.task for group in groups] == list(tasks)
        assert stats.episodes == len(tasks)
        results.append(json.dumps(summary(summarise(groups), {"split": "test"})))
    assert results[0] == results[1]


def test_the_expert_solves_all():
    env = corridor(3)
    groups, _ = evaluate(
        ExpertPolicy(form="{command}"), env, env.tasks("test")[:3], context="conversation", sampling=GREEDY
    )
    result = summarise(groups).all
    assert (result.success, result.score, result.failed) == (1.0, 1.0, 0)
    assert result.interval == wilson_interval(3, 3)


def test_results_by_kind():
    evaluation = summarise([group("a", 1, kind="x"), group("b", 0, kind="x"), group("c", 1, kind="y")])
    assert evaluation.all.success == pytest.approx(2 / 3)
    assert {kind: result.success for kind, result in evaluation.by_kind.items()} == {"x": 0.5, "y": 1.0}
    assert evaluation.metrics()["eval/success_of_x"] == 0.5
    assert [row["task"] for row in evaluation.per_task] == ["a", "b", "c"]
    assert result_table("title", evaluation).row_count == 3


def test_several_episodes_per_task():
    result = summarise([group("a", 1, 0, 0, 0), group("b", 1, 1, 0, 0)]).all
    assert (result.tasks, result.episodes, result.success) == (2, 8, 0.375)
    # pass@2: 1 − C(3,2)/C(4,2) = 1/2 and 1 − C(2,2)/C(4,2) = 5/6.
    assert result.pass_at == {"1": 0.375, "2": pytest.approx(2 / 3), "4": 1.0}
    # Rates 1/4 and 1/2, two zeros and two ones (1.9207 of each): N = 5.8415, mean 2.6707/5.8415 = 0.4572, variance
    # (1.9207 + 0.3125)/5.8415 − 0.4572² = 0.1733; 0.4572 ± 1.96·√(0.1733/5.8415).
    assert result.interval == pytest.approx((0.1197, 0.7948), abs=2e-4)


def test_pass_at():
    assert pass_at(1, 4, 1) == 0.25
    assert pass_at(4, 4, 1) == 1.0
    assert pass_at(3, 4, 0) == 0.0


def test_an_interval_does_not_collapse_where_all_is_solved():
    low, high = summarise([group(name, 1, 1) for name in "abc"]).all.interval
    # z² = 3.8415: 3 + 1.9207 of N = 6.8415 is 0.7193; 0.7193 − 1.96·√(0.7193·0.2807/6.8415) = 0.3826.
    assert low == pytest.approx(0.3826, abs=1e-4)
    assert high == 1.0
    same = summary(summarise([group(name, 1, 1) for name in "abc"]), {})
    # Of 3 + 2 tasks half a one won and half a one lost: ±1.96·√(0.2/5) = ±0.3920.
    assert compare(same, same)[-1].interval == pytest.approx((-0.3920, 0.3920), abs=1e-4)


def test_bad_requests():
    env = corridor(1)
    with pytest.raises(BadOptionError, match="at least one task"):
        evaluate(ExpertPolicy(), env, [], context="conversation", sampling=GREEDY)
    with pytest.raises(BadOptionError, match="greedy"):
        evaluate(ExpertPolicy(), env, ["x"], context="conversation", sampling=GREEDY, samples=2)
    with pytest.raises(BadOptionError, match="samples"):
        evaluate(ExpertPolicy(), env, ["x"], context="conversation", sampling=GREEDY, samples=0)


def test_compare_pairs_the_tasks():
    a = summary(summarise([group("a", 1, kind="x"), group("b", 0, kind="x"), group("c", 0, kind="y")]), {})
    b = summary(summarise([group("a", 1, kind="x"), group("b", 1, kind="x"), group("c", 1, kind="y")]), {})
    lines = compare(a, b)
    assert [line.name for line in lines] == ["x", "y", "all"]
    everything = lines[-1]
    assert (everything.a, everything.b) == (pytest.approx(1 / 3), 1.0)
    assert everything.difference == pytest.approx(2 / 3)
    assert (everything.only_a, everything.only_b) == (0, 2)
    assert everything.interval[0] <= everything.difference <= everything.interval[1]
    assert comparison_table(lines).row_count == 3
    other = summary(summarise([group("d", 1)]), {})
    with pytest.raises(BadOptionError, match="same tasks"):
        compare(a, other)


def test_summaries_are_read_from_files_and_directories(tmp_path):
    written = summary(summarise([group("a", 1)]), {"split": "x"})
    (tmp_path / "summary.json").write_text(json.dumps(written))
    assert read_summary(tmp_path) == read_summary(tmp_path / "summary.json") == json.loads(json.dumps(written))
    with pytest.raises(DataNotFoundError):
        read_summary(tmp_path / "none")
    rows = (
        "3",
        "[]",
        "[3]",
        '[{"task": "a"}]',
        '[{"task": "a", "success": []}]',
        '[{"task": "a", "success": ["yes"]}]',
    )
    for text in ("{", "{}", "[]", *(f'{{"per_task": {row}}}' for row in rows)):
        (tmp_path / "broken.json").write_text(text)
        with pytest.raises(BadOptionError):
            read_summary(tmp_path / "broken.json")


def test_hashes(tmp_path):
    # printf 'a\nb\n' | sha256sum
    assert hash_tasks(["a", "b"]) == "911169ddaaf146aff539f58c26c489af3b892dff0fe283c1c264c65ae5aa59a2"
    assert hash_tasks(["a", "b"]) != hash_tasks(["b", "a"])
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    first = hash_model(tmp_path)
    (tmp_path / "trainer_state.json").write_text("{}")
    assert hash_model(tmp_path) == first
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    assert hash_model(tmp_path) != first
    assert hash_model("some/hub-id") is None
