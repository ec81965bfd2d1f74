"""The evidence page is made of the files that runs leave."""

import json

import pytest

from benchmarks import evidence


def figures(method, seed, won):
    ends = {}
    for when, n in (("before", 2), ("after", won)):
        ends[when] = {"episodes": 4, "won": n, "success": n / 4, "low": 0.1, "high": 0.9}
        ends[when] |= {"turns_per_episode": 30.04, "invalid_share": 0.5}
    curve = [{"minutes": 1.0, "success": 0.5, "valid_success": 0.25}]
    return {"method": method, "seed": seed, "minutes": 6.0, "curve": curve, **ends}


def test_table_has_a_line_per_run_and_one_per_method():
    runs = {("gigpo", 0): figures("gigpo", 0, 3), ("gigpo", 1): figures("gigpo", 1, 4)}
    lines = evidence.table(runs).splitlines()
    assert len(lines) == 2 + 2 + 1
    assert lines[2] == "| GiGPO | 0 | 50.0 % (10.0 to 90.0) | 75.0 % (10.0 to 90.0) | 30.0 → 30.0 | 50 → 50 % |"
    # Both seeds: 4 of 8 before, 7 of 8 after. Wilson with z² = 3.8415 for 7/8: centre (0.875 + 0.2401)/1.4802 = 0.7533,
    # half width 1.96·√(0.875·0.125/8 + 3.8415/256)/1.4802 = 0.2244.
    assert "50.0 %" in lines[4]
    assert "87.5 % (52.9 to 97.8)" in lines[4]


def test_page_is_rewritten_between_its_marks(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence, "ROOT", tmp_path)
    monkeypatch.setattr(evidence, "RESULTS", tmp_path / "docs" / "evidence")
    (tmp_path / "docs" / "evidence").mkdir(parents=True)
    page = tmp_path / "docs" / "evidence.md"
    page.write_text("# Title\n\n<!-- table: benchmarks/evidence.py writes it -->\nold\n<!-- end of table -->\n\nrest\n")
    for seed in (0, 1):
        (tmp_path / "docs" / "evidence" / f"gigpo-{seed}.json").write_text(json.dumps(figures("gigpo", seed, 3)))
    for _ in range(2):  # twice gives the same page
        evidence.write_docs()
        text = page.read_text()
        assert text.startswith("# Title\n")
        assert text.endswith("\nrest\n")
        assert "old" not in text
        assert text.count("| GiGPO | 1 |") == 1
    assert (tmp_path / "docs" / "evidence" / "learning_curves.png").stat().st_size > 1000


def test_finished_runs_are_not_repeated(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence, "RESULTS", tmp_path)
    evidence.result("gigpo", 0).write_text("{}")
    evidence.run_all([0], ["gigpo"], jobs=2, extra=[])  # would start a process and take minutes
    assert [path.name for path in tmp_path.iterdir()] == ["gigpo-0.json"]


def test_files_are_rounded():
    assert evidence.rounded({"a": [0.123456, 1], "b": "x"}) == {"a": [pytest.approx(0.1235), 1], "b": "x"}
