"""Games of our own: deterministic, solvable, and written as real ``game.tw-pddl`` files.

Rooms and frequencies are those of the published games (see `generator_facts`), so generated games look like them, but
a score on them is not an ALFWorld score. Split by rooms: 108 for training and validation, 12 for the test; these
twelve are also those in which no published training game takes place.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from agent_gym.envs.alfworld.generator_difficulty import DIFFICULTIES, Difficulty, as_difficulty
from agent_gym.envs.alfworld.generator_draws import Draws
from agent_gym.envs.alfworld.generator_facts import WORDINGS, load_kinds
from agent_gym.envs.alfworld.generator_plan import Step, as_commands, reaches_goal, shortest_walkthrough
from agent_gym.envs.alfworld.generator_text import domain_text, grammar_text, problem_text, task_sentence
from agent_gym.envs.alfworld.generator_world import LAMP, Household, RejectedError, Rejection, draw_household
from agent_gym.errors import BadOptionError, UnknownSplitError, UnknownTaskError, did_you_mean

__all__ = [
    "DIFFICULTIES",
    "GENERATED_SPLITS",
    "Difficulty",
    "Rejection",
    "as_difficulty",
    "generate_game",
    "rejection_counts",
    "write_game",
]

GENERATED_SPLITS: Mapping[str, int] = {"generated_train": 1_000_000, "generated_valid": 400, "generated_test": 400}
"""Number of games in each split; all but the test split share their rooms."""
_TEST_SPLIT = "generated_test"
_MOST_ATTEMPTS = 1000


@dataclass(frozen=True, slots=True)
class _Accepted:
    """A household that is a game, with what it took to find it."""

    household: Household
    steps: list[Step]
    sentence: str
    rejected: Counter[Rejection]


def generate_game(
    split: str, index: int, *, wording: str = "put", difficulty: str | Difficulty | None = None
) -> dict[str, Any]:
    """Make the game with this index; equal arguments give equal games on every machine.

    Both wordings of one index are the same household with the same task.

    Args:
        split: a key of `GENERATED_SPLITS`.
        index: from 0 to the split's size minus one.
        wording: ``"put"`` for the words of the games published in 2020 ("put X in/on Y", "You arrive at loc 5."),
            ``"move"`` for those of the alfworld 0.4.2 wheel ("move X to Y", "You arrive at desk 1.", ``help``).
        difficulty: a `Difficulty` or the name of one; ``None`` is ``"standard"``.

    Returns:
        The content of a ``game.tw-pddl`` file: ``pddl_domain``, ``grammar``, ``pddl_problem``, ``solvable`` (true) and
        ``walkthrough`` (commands that win), and beside these ``task_type``, ``scene`` ("FloorPlan7") and
        ``pddl_params`` (the goal in the names that ALFRED's ``traj_data.json`` uses).

    Raises:
        UnknownSplitError: for another split.
        UnknownTaskError: for an index outside the split.
        BadOptionError: for another wording or difficulty.
    """
    if wording not in WORDINGS:
        raise BadOptionError(f"wording must be 'put' or 'move'; got {wording!r}.{did_you_mean(str(wording), WORDINGS)}")
    found = _accepted(split, index, as_difficulty(difficulty))
    goal = found.household.goal
    looking = goal.task_type == "look_at_obj_in_light"
    return {
        "pddl_domain": domain_text(wording),
        "grammar": grammar_text(wording, found.sentence),
        "pddl_problem": problem_text(found.household, f"{split}_{index:09d}"),
        "solvable": True,
        "walkthrough": as_commands(found.household, found.steps, wording),
        "task_type": goal.task_type,
        "scene": f"FloorPlan{found.household.scene.number}",
        "pddl_params": {
            "mrecep_target": "",
            "object_sliced": False,
            "object_target": goal.object_kind,
            "parent_target": goal.receptacle_kind,
            "toggle_target": LAMP if looking else "",
        },
    }


def write_game(directory: str | PathLike[str], game: Mapping[str, Any]) -> Path:
    """Write ``game.tw-pddl`` and the ``traj_data.json`` that the benchmark's collector asks for.

    Args:
        directory: the game's own folder; made if it does not exist.
        game: what `generate_game` returned.

    Returns:
        The path of ``game.tw-pddl``.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    number = int(game["scene"].removeprefix("FloorPlan"))
    described = {
        "task_id": folder.name,
        "task_type": game["task_type"],
        "pddl_params": game["pddl_params"],
        "scene": {"floor_plan": game["scene"], "scene_num": number},
        "turk_annotations": {"anns": []},
    }
    path = folder / "game.tw-pddl"
    path.write_text(json.dumps(dict(game)), encoding="utf-8")
    (folder / "traj_data.json").write_text(json.dumps(described), encoding="utf-8")
    return path


def rejection_counts(
    split: str, number: int, *, difficulty: str | Difficulty | None = None
) -> tuple[int, dict[Rejection, int]]:
    """How many candidates the first ``number`` games of a split cost, and why the others were thrown away.

    Returns:
        Candidates drawn in all (accepted ones included), and the rejected ones by reason.
    """
    setting = as_difficulty(difficulty)
    reasons: Counter[Rejection] = Counter()
    for index in range(number):
        reasons.update(_accepted(split, index, setting).rejected)
    return number + reasons.total(), {reason: reasons[reason] for reason in Rejection}


def _accepted(split: str, index: int, difficulty: Difficulty) -> _Accepted:
    """Draw candidates until one is a game. The task type stays, so that rejections do not shift the mix."""
    if split not in GENERATED_SPLITS:
        raise UnknownSplitError(
            f"generated splits are {', '.join(GENERATED_SPLITS)}; got {split!r}."
            f"{did_you_mean(str(split), GENERATED_SPLITS)}"
        )
    if not 0 <= index < GENERATED_SPLITS[split]:
        raise UnknownTaskError(f"{split} has games 0 to {GENERATED_SPLITS[split] - 1}; got index {index}")
    draws = Draws(f"{split}/{index}/{difficulty.name}")
    mix = load_kinds().task_mix
    task_type = draws.weighted(difficulty.task_types, [mix[name] for name in difficulty.task_types])
    rejected: Counter[Rejection] = Counter()
    for _ in range(_MOST_ATTEMPTS):
        try:
            household = draw_household(draws, task_type, held_out=split == _TEST_SPLIT, difficulty=difficulty)
        except RejectedError as error:
            rejected[error.reason] += 1
            continue
        steps = shortest_walkthrough(household)
        if reaches_goal(household, steps):
            return _Accepted(household, steps, task_sentence(household.goal, draws.below(2)), rejected)
        rejected[Rejection.UNSOLVED] += 1
    raise BadOptionError(
        f"no {task_type} game was found in {_MOST_ATTEMPTS} candidates of {split} with {difficulty}; "
        f"the reasons were {dict(rejected)}. Add rooms or raise the limits"
    )
