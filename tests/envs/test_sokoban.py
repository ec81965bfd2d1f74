"""Sokoban: moves, deadlocks and solutions are what exhaustive search says, and levels are as hard as they claim."""

import itertools
from collections import deque

import gymnasium as gym
import pytest

import agent_gym  # noqa: F401  registers the ids
from agent_gym import keys
from agent_gym.envs.diagnostic import digest
from agent_gym.envs.sokoban.deadlocks import dead_squares, deadlocked
from agent_gym.envs.sokoban.generator import make_level
from agent_gym.envs.sokoban.level import read_coordinates, read_level, squares_of
from agent_gym.envs.sokoban.solver import pushes_left, solve
from agent_gym.errors import BadOptionError, GameFileError, UnknownTaskError
from agent_gym.testing import check_text_env

ID = "AgentGym/Sokoban-v0"


def make(**settings):
    return gym.make(ID, disable_env_checker=True, **settings)


def level_of(text):
    return read_level(text.strip("\n").splitlines())


def search(level, boxes, player, *, pushes_only=False):
    """The fewest moves (or pushes) by going through all states, on a grid of signs; None if there is no way.

    It shares nothing with the bit sets: squares are (row, column), boxes a frozenset.
    """
    rows = level.text(0, level.player).replace("@", "_").replace("+", ".").splitlines()
    at = divmod(player, level.stride)
    start = (frozenset(divmod(square, level.stride) for square in squares_of(boxes)), at)
    goals = {(r, c) for r, row in enumerate(rows) for c, sign in enumerate(row) if sign == "."}
    spent, waiting = {start: 0}, deque([start])
    while waiting:
        state = waiting.popleft()
        there, (row, column) = state
        if there == goals:
            return spent[state]
        for down, right in ((1, 0), (0, -1), (0, 1), (-1, 0)):
            to, behind = (row + down, column + right), (row + 2 * down, column + 2 * right)
            after = there
            if rows[to[0]][to[1]] == "#":
                continue
            if to in there:
                if rows[behind[0]][behind[1]] == "#" or behind in there:
                    continue
                after = there - {to} | {behind}
            cost = spent[state] + (1 if not pushes_only else after != there)
            if cost < spent.get((after, to), 10**9):
                spent[after, to] = cost
                # Steps that cost nothing come before those that do: breadth-first in pushes.
                (waiting.appendleft if cost == spent[state] else waiting.append)((after, to))
    return None


def random_levels(number):
    """Small levels of all kinds, most of them not made to be solvable."""
    for seed in range(number):
        draws = iter(range(1000))
        signs = [["#"] * 6] + [["#", *"____", "#"] for _ in range(4)] + [["#"] * 6]
        for sign in "##" + "$." * (1 + seed % 2) + "@":
            free = [(r, c) for r in range(1, 5) for c in range(1, 5) if signs[r][c] == "_"]
            row, column = free[digest("levels to test", seed, next(draws)) % len(free)]
            signs[row][column] = sign
        try:
            yield read_level(["".join(row) for row in signs])
        except GameFileError:
            continue  # a wall cuts it in two


LEVELS = list(random_levels(120))


@pytest.mark.parametrize("settings", [{"board": "coordinates"}, {"size": 4, "boxes": 1, "pushes": 3}, {"boxes": 3}])
def test_the_contract_holds_for_other_settings_too(settings):
    check_text_env(ID, **settings)


def test_a_star_finds_what_exhaustive_search_finds():
    solvable = 0
    for level in LEVELS:
        moves, pushes = (search(level, level.boxes, level.player, pushes_only=only) for only in (False, True))
        fewest_moves = solve(level, level.boxes, level.player, cost="moves")
        fewest_pushes = solve(level, level.boxes, level.player, cost="pushes")
        both = solve(level, level.boxes, level.player, cost="pushes, then moves")
        assert fewest_moves.solvable is fewest_pushes.solvable is both.solvable is (moves is not None)
        if moves is not None:
            solvable += 1
            assert (len(fewest_moves.commands), fewest_pushes.pushes, both.pushes) == (moves, pushes, pushes)
            assert moves <= len(both.commands) <= len(fewest_pushes.commands)
            assert pushes_left(level, level.boxes) <= pushes
    assert 15 < solvable < len(LEVELS) - 15  # both kinds are there


def test_a_deadlock_is_never_seen_where_there_is_none():
    seen = lost = 0
    for level in LEVELS[:24]:
        squares = list(squares_of(level.floor))
        for places in itertools.combinations(squares, level.goals.bit_count()):
            boxes = sum(1 << square for square in places)
            if deadlocked(level, boxes):
                seen += 1
                # From no square the player may stand on; two of them are enough to find a mistake.
                stands = [square for square in squares if not boxes >> square & 1]
                assert all(search(level, boxes, player) is None for player in (stands[0], stands[-1]))
            elif search(level, boxes, next(s for s in squares if not boxes >> s & 1)) is None:
                lost += 1
    assert seen > 100
    assert lost > 0  # the glance is not said to find everything


CORNER = """
#######
#_____#
#_$_._#
#__@__#
#######
"""


def test_dead_squares_are_corners_and_walls_without_a_goal():
    """The goal is in the row between: no push leaves the top and bottom rows or the outer columns again."""
    level = level_of(CORNER)
    dead = {divmod(square, level.stride) for square in squares_of(dead_squares(level))}
    assert dead == {(row, column) for row in (1, 3) for column in range(1, 6)} | {(2, 1), (2, 5)}


@pytest.mark.parametrize(
    ("text", "stuck"),
    [
        # Two boxes side by side at a wall hold each other; one of them is off its goal.
        ("#######\n#.*$@_#\n#_____#\n#_____#\n#######", True),
        # The same, both on goals: the level is solved.
        ("#######\n#_**@_#\n#_____#\n#_____#\n#######", False),
        # Four boxes in a square can't be moved, wherever they stand.
        ("########\n#______#\n#__$$__#\n#__$$__#\n#....@_#\n########", True),
        # Two boxes in the open, side by side: either can be pushed up or down.
        ("#######\n#_..__#\n#_$$__#\n#___@_#\n#######", False),
    ],
)
def test_frozen_boxes_are_seen(text, stuck):
    level = level_of(text)
    assert deadlocked(level, level.boxes) is stuck


def test_the_start_and_the_fewest_pushes_are_as_asked_for():
    for size, boxes, pushes in [(4, 1, 3), (5, 2, 6), (6, 3, 7)]:
        for number in range(4):
            level = make_level("valid", size, boxes, pushes, number)
            assert (level.rows, level.columns, level.boxes.bit_count()) == (size + 2, size + 2, boxes)
            if boxes < 3:
                assert search(level, level.boxes, level.player, pushes_only=True) == pushes
            else:
                assert solve(level, level.boxes, level.player, cost="pushes").pushes == pushes


def test_levels_of_many_boxes_keep_their_word_though_states_were_dropped():
    level = make_level("train", 7, 3, 12, 0)
    assert solve(level, level.boxes, level.player, cost="pushes").pushes == 12
    assert not deadlocked(level, level.boxes)


def test_splits_share_no_room_mirrored_or_turned():
    env = make(size=4, boxes=1, pushes=3, layouts=60).unwrapped
    found: dict[str, str] = {}
    for split in env.splits:
        for task in env.tasks(split):
            signs = env.level(task).blank().decode().splitlines()
            for _ in range(4):
                signs = ["".join(column) for column in zip(*signs[::-1], strict=True)]
                assert found.setdefault("\n".join(signs), split) == split
                assert found.setdefault("\n".join(signs[::-1]), split) == split


@pytest.mark.parametrize("board", ["text", "coordinates"])
def test_the_expert_pushes_least_and_needs_only_what_it_reads(board):
    env = make(board=board)
    for task in env.unwrapped.tasks("valid")[:6]:
        env.reset(options={"task": task})
        played, over = [], False
        while not over:
            played.append(env.unwrapped.expert_action())
            _, reward, over, _, info = env.step(played[-1])
        assert (reward, info[keys.SUCCESS], info[keys.SCORE]) == (1.0, True, 1.0)
        best = env.unwrapped.solution(task, "pushes, then moves")
        assert (len(played), best.pushes) == (len(best.commands), 6)


def test_the_expert_takes_over_in_the_middle_and_walks_on_when_all_is_lost(tmp_path):
    (tmp_path / "one.txt").write_text("; 0\n" + CORNER.strip("\n") + "\n", encoding="utf-8")
    env = make(levels=str(tmp_path / "one.txt"))
    env.reset(seed=0)
    assert env.unwrapped.expert_action() == "left"
    for command in ("right", "sing", "left", "left", "left"):  # goes round; one of them is no command
        env.step(command)
    assert env.unwrapped.expert_action() == "up"  # now left of the box's column, below the square to push from
    *_, info = env.step("right")
    assert info[keys.DEADLOCKED] is False
    observation, reward, terminated, _, info = env.step("up")  # the box is at the upper wall now
    assert (reward, terminated, info[keys.DEADLOCKED]) == (0.0, False, True)
    assert "lost" not in observation
    command = env.unwrapped.expert_action()
    assert command in info[keys.ADMISSIBLE_ACTIONS]
    assert env.unwrapped.solution("all/one/0000").commands[-1] == "right"


def test_moves_pushes_and_what_is_not_possible(tmp_path):
    (tmp_path / "one.txt").write_text(CORNER, encoding="utf-8")
    env = make(levels=tmp_path)
    _, start = env.reset(seed=0)
    assert start[keys.ADMISSIBLE_ACTIONS] == ("left", "right", "up")
    said, _, _, _, info = env.step("down")
    assert said.startswith("That is not possible.\n")
    assert (info[keys.ACTION_VALID], info[keys.STATE_KEY]) == (False, start[keys.STATE_KEY])
    walked = [env.step(command) for command in ("left", "left", "up", "right", "right")]
    assert [step[0].partition("\n")[0] for step in walked] == [
        "You go left.", "You go left.", "You go up.", "You push a box right.", "Every box is on a goal.",
    ]  # fmt: skip
    assert [step[4][keys.SCORE] for step in walked] == [0.0, 0.0, 0.0, 0.0, 1.0]
    assert walked[-1][0].endswith("#_____#\n#__@*_#\n#_____#\n#######")
    assert (walked[-1][1], walked[-1][2], walked[-1][4][keys.ADMISSIBLE_ACTIONS]) == (1.0, True, ())


def test_boxes_are_alike_and_the_players_square_counts():
    env = make().unwrapped
    task = env.tasks("train")[0]
    _, info = env.reset(options={"task": task})
    level = env.level(task)
    one, two = squares_of(level.boxes)
    assert env._get_state() == (1 << one | 1 << two, level.player)  # a set: no box comes first
    command = info[keys.ADMISSIBLE_ACTIONS][0]
    *_, after = env.step(command)
    assert after[keys.STATE_KEY] != info[keys.STATE_KEY]


def test_both_boards_say_all_there_is():
    for task in make().unwrapped.tasks("test")[:5]:
        text, lists = (make(board=board).unwrapped for board in ("text", "coordinates"))
        one = read_level(text.reset(options={"task": task})[0].splitlines()[1:])
        other = read_coordinates(lists.reset(options={"task": task})[0].splitlines()[1:])
        assert one.goals.bit_count() == 2
        level = text.level(task)
        assert one == level
        places = [[divmod(square, read.stride) for square in squares_of(bits)] for read in (other, level)
                  for bits in (read.floor, read.goals, read.boxes, 1 << read.player)]  # fmt: skip
        assert places[:4] == places[4:]


# Files ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": 2}, "size must be a whole number from 3 to 10, got 2"),
        ({"boxes": 0}, "boxes must be"),
        ({"pushes": "many"}, "pushes must be"),
        ({"board": "txt"}, r"Did you mean 'text'\?"),
        ({"steps": 0}, "steps must be"),
        ({"level": "x"}, r"Did you mean 'levels'\?"),
        ({"levels": 3}, "levels must be the path of a file or directory, got 3"),
        ({"size": 3, "boxes": 1, "pushes": 9}, "got none in 300 rooms of size 3 with 1 boxes and 9 pushes"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, said):
    with pytest.raises(BadOptionError, match=said):
        make(**settings)


def test_every_task_of_settings_that_are_taken_has_its_level():
    """In a room of 6 × 6 one box is seldom nine pushes from its goal: here 300 rooms do not do."""
    env = make(size=6, boxes=1, pushes=9, layouts=16)
    env.reset(options={"task": "test/6-1-9-015"})
    assert env.unwrapped.solution("test/6-1-9-015", cost="pushes").pushes == 9


def test_an_unknown_generated_task_is_told_from_a_known_one():
    with pytest.raises(UnknownTaskError, match="expected a task id such as 'train/5-2-6-000', got 'train/5-2-6-999'"):
        make().reset(options={"task": "train/5-2-6-999"})


def test_a_search_that_is_given_up_says_so():
    level = make_level("train", 7, 3, 12, 0)
    assert solve(level, level.boxes, level.player, limit=3).solvable is None
