"""Levels of files: Boxoban's, and others in their form."""

import pytest

from agent_gym import keys
from agent_gym.envs.sokoban.deadlocks import deadlocked
from agent_gym.errors import DataNotFoundError, GameFileError, UnknownSplitError, UnknownTaskError
from agent_gym.testing import check_text_env
from tests.envs.test_sokoban import CORNER, ID, make

BOXOBAN = """; 0
##########
##########
#   @    #
#  $ .   #
##########
##########

; 1
##########
# @$.    #
##########
"""


def test_folders_make_the_splits_of_files(tmp_path):
    for split, name in (("train", "000"), ("train", "001"), ("valid", "000")):
        (tmp_path / "medium" / split).mkdir(parents=True, exist_ok=True)
        (tmp_path / "medium" / split / f"{name}.txt").write_text(BOXOBAN, encoding="utf-8")
    env = make(levels=tmp_path).unwrapped
    assert env.splits == ("train", "valid")
    assert env.split == "train"
    tasks = env.tasks("train")
    expected = [f"train/medium/{name}/{place:04d}" for name in ("000", "001") for place in (0, 1)]
    assert (list(tasks), len(tasks), tasks[-1]) == (expected, 4, expected[3])
    observation, info = env.reset(options={"task": "valid/medium/000/0001"})
    assert observation.endswith("\n##########\n#_@$.____#\n##########")
    assert (info[keys.SPLIT], info[keys.SOURCE]) == ("valid", "file")
    with pytest.raises(UnknownSplitError, match="split must be one of"):
        make(levels=tmp_path, split="test")
    check_text_env(ID, levels=str(tmp_path))


def test_tasks_of_files_are_sorted_whatever_the_files_are_called(tmp_path):
    for name in ("a", "a-b", "a b", "a.b", "b/a", "b-a/a"):
        (tmp_path / f"{name}.txt").parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.txt").write_text(CORNER, encoding="utf-8")
    tasks = list(make(levels=tmp_path).unwrapped.tasks("all"))
    assert tasks == sorted(tasks)
    assert len(tasks) == 6


def test_a_file_has_no_more_levels_than_its_numbers_can_name(tmp_path):
    (tmp_path / "many.txt").write_text(f"; 0\n{CORNER}\n\n" * 10_001, encoding="utf-8")
    with pytest.raises(GameFileError, match=r"many\.txt: expected 10000 levels or fewer in a file, got 10001"):
        make(levels=tmp_path).unwrapped.tasks("all")


def test_boxobans_own_files(boxoban_data):
    read = 0
    for folder in sorted(path for path in boxoban_data.iterdir() if path.is_dir()):
        base = make(levels=folder, steps=1000).unwrapped
        for split in base.splits:
            files = [file for file in folder.rglob("*.txt") if split in ("all", file.parent.name)]
            tasks = base.tasks(split)
            assert len(tasks) == sum(file.read_text(encoding="utf-8").count(";") for file in files)
            for task in tasks[:1000]:
                level = base.level(task)
                assert (level.rows, level.columns, level.boxes.bit_count()) == (10, 10, 4)
                assert not deadlocked(level, level.boxes)
                read += 1
    assert read >= 1000
    env = make(levels=boxoban_data / "unfiltered", steps=1000)
    for task in env.unwrapped.tasks("test")[:3]:
        env.reset(options={"task": task})
        over = False
        while not over:
            _, reward, over, truncated, info = env.step(env.unwrapped.expert_action())
            assert not truncated
        assert (reward, info[keys.SUCCESS]) == (1.0, True)


@pytest.mark.parametrize(
    ("level", "line", "said"),
    [
        ("#####\n#@$x#\n#####", 4, "got 'x' in column 4"),
        ("#####\n# $.#\n#####", 3, r"one player \(@ or \+\), got 0"),
        ("#####\n#@@.#\n#####", 3, "got 2"),
        ("######\n#@$  .\n######", 4, "expected walls all around, got an open edge in column 6"),
        ("######\n#@$  #\n######", 3, "as many boxes as goals, got 1 and 0"),
        ("######\n#@#$.#\n######", 4, "that is walled off"),
        ("######\n#@ * #\n######", 3, "expected a level that is to be solved"),
    ],
)
def test_a_bad_level_is_told_with_file_and_line(tmp_path, level, line, said):
    file = tmp_path / "bad.txt"
    file.write_text(f"; 0\n\n{level}\n", encoding="utf-8")
    env = make(levels=file).unwrapped
    with pytest.raises(GameFileError, match=said) as error:
        env.reset(seed=0)
    assert str(error.value).startswith(f"{file}, line {line}: ")


def test_the_users_own_directory_can_be_written_short(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "one.txt").write_text(CORNER, encoding="utf-8")
    assert list(make(levels="~/one.txt").unwrapped.tasks("all")) == ["all/one/0000"]


def test_files_that_are_no_level_files_are_refused(tmp_path):
    with pytest.raises(DataNotFoundError, match="there is nothing"):
        make(levels=tmp_path / "nowhere")
    with pytest.raises(DataNotFoundError, match=r"expected \.txt files"):
        make(levels=tmp_path)
    (tmp_path / "empty.txt").write_text("; 0\n\n", encoding="utf-8")
    with pytest.raises(GameFileError, match="expected at least one level"):
        make(levels=tmp_path).unwrapped.tasks("all")
    (tmp_path / "empty.txt").write_bytes(b"; 0\n#\xff#\n")
    with pytest.raises(GameFileError, match="got byte 5 that is no UTF-8"):
        make(levels=tmp_path).unwrapped.tasks("all")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "000.txt").write_text(BOXOBAN, encoding="utf-8")
    with pytest.raises(GameFileError, match=r"empty\.txt beside such folders"):
        make(levels=tmp_path)


@pytest.mark.parametrize("task", ["all/one/0001", "all/one/0", "all/two/0000", "one", "train/5-2-6-000", "all/one/²"])
def test_an_unknown_level_of_a_file_is_told_from_a_known_one(tmp_path, task):
    (tmp_path / "one.txt").write_text(CORNER, encoding="utf-8")
    with pytest.raises(UnknownTaskError):
        make(levels=tmp_path).reset(options={"task": task})
