import hashlib
import json
import re
import subprocess
import sys
from collections import Counter, deque

import pytest

from agent_gym.envs.alfworld.engine import Simulator
from agent_gym.envs.alfworld.generator import (
    DIFFICULTIES,
    GENERATED_SPLITS,
    Difficulty,
    Rejection,
    as_difficulty,
    generate_game,
    rejection_counts,
    write_game,
)
from agent_gym.envs.alfworld.generator_draws import Draws
from agent_gym.envs.alfworld.generator_facts import (
    TASK_ROOMS,
    TASK_TYPES,
    load_kinds,
    load_scenes,
    location_identifier,
    thing_identifier,
)
from agent_gym.envs.alfworld.generator_plan import entity_names, reaches_goal, shortest_walkthrough
from agent_gym.envs.alfworld.generator_text import domain_text, grammar_text, problem_text
from agent_gym.envs.alfworld.generator_world import RejectedError, draw_household
from agent_gym.envs.alfworld.pddl import action_digests
from agent_gym.envs.alfworld.problem import load_game, parse_game
from agent_gym.errors import BadOptionError, UnknownSplitError, UnknownTaskError

DIGEST = """
import hashlib, json
from agent_gym.envs.alfworld.generator import GENERATED_SPLITS, generate_game
games = [generate_game(split, index) for split in GENERATED_SPLITS for index in range(5)]
print(hashlib.sha256(json.dumps([[game["pddl_problem"], game["walkthrough"]] for game in games]).encode()).hexdigest())
"""


def facts_of(game, predicate):
    start = game["pddl_problem"].partition("(:goal")[0]
    return [tuple(found.split()) for found in re.findall(rf"\({predicate} ([^()]+)\)", start)]


def households(number, difficulty=None):
    """Households drawn by hand, for tests of what lies below `generate_game`."""
    setting = difficulty or Difficulty()
    found = []
    for index in range(number):
        draws = Draws(f"test/{index}")
        while True:
            try:
                task_type = setting.task_types[index % len(setting.task_types)]
                found.append(draw_household(draws, task_type, held_out=False, difficulty=setting))
                break
            except RejectedError:
                continue
    return found


def test_generate_game_is_the_same_in_every_process():
    texts = {
        subprocess.run(
            [sys.executable, "-c", DIGEST], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1


def test_generated_lists_are_frozen():
    # A change here is a change of the task list: it needs a new version of the environment.
    games = [generate_game(split, index) for split in GENERATED_SPLITS for index in range(20)]
    content = json.dumps([[game["pddl_problem"], game["walkthrough"]] for game in games])
    assert hashlib.sha256(content.encode()).hexdigest()[:16] == "2d75c4777fa1e9c3"


@pytest.mark.parametrize("wording", ["put", "move"])
@pytest.mark.parametrize("difficulty", sorted(DIFFICULTIES))
@pytest.mark.parametrize("split", GENERATED_SPLITS)
def test_walkthroughs_win_in_the_native_engine(split, difficulty, wording):
    for index in range(60):
        game = generate_game(split, index, wording=wording, difficulty=difficulty)
        simulator = Simulator(parse_game(game))
        simulator.reset()
        for command in game["walkthrough"]:
            assert not simulator.won
            assert command in simulator.admissible()
            simulator.step(command)
        assert simulator.won


def test_every_room_and_every_task_type_occurs():
    games = [generate_game("generated_train", index) for index in range(1000)]
    games += [generate_game("generated_test", index) for index in range(200)]
    assert len({game["scene"] for game in games}) == 120
    assert {game["task_type"] for game in games} == set(TASK_TYPES)


def test_task_types_are_mixed_as_in_the_published_training_games():
    mix = load_kinds().task_mix
    assert sum(mix.values()) == 3553
    number = 3000
    seen = Counter(generate_game("generated_train", index)["task_type"] for index in range(number))
    for task_type, published in mix.items():
        # the standard deviation of a share p over 3,000 draws is at most sqrt(0.25 / 3000) = 0.9 %
        assert seen[task_type] / number == pytest.approx(published / 3553, abs=0.03)


def test_the_test_split_shares_no_room_with_the_others():
    rooms = {split: {generate_game(split, index)["scene"] for index in range(400)} for split in GENERATED_SPLITS}
    assert len(rooms["generated_test"]) == 12
    assert not rooms["generated_test"] & (rooms["generated_train"] | rooms["generated_valid"])


def test_no_game_of_the_fixed_lists_is_repeated():
    for split in ("generated_valid", "generated_test"):
        starts = {generate_game(split, index)["pddl_problem"].partition("(:objects")[2] for index in range(400)}
        assert len(starts) == GENERATED_SPLITS[split]


def test_both_wordings_are_the_same_household():
    put, move = (generate_game("generated_valid", 3, wording=wording) for wording in ("put", "move"))
    assert put["pddl_problem"] == move["pddl_problem"]
    assert [re.sub(r"^put (.+) in/on ", r"move \1 to ", command) for command in put["walkthrough"]] == move[
        "walkthrough"
    ]
    assert "(:action help" in move["pddl_domain"]
    assert "(:action help" not in put["pddl_domain"]


def test_things_lie_only_where_their_kind_may():
    declared = {kind for held in load_kinds().can_contain.values() for kind in held}
    for index in range(200):
        game = generate_game("generated_train", index)
        receptacle_type = dict(facts_of(game, "receptacleType"))
        object_type = dict(facts_of(game, "objectType"))
        allowed = set(facts_of(game, "canContain"))
        for (thing,) in facts_of(game, "pickupable"):
            ((_, place),) = [fact for fact in facts_of(game, "inReceptacle") if fact[0] == thing]
            if object_type[thing].removesuffix("Type") in declared:
                assert (receptacle_type[place], object_type[thing]) in allowed


def test_places_and_names_are_unique():
    for index in range(200):
        game = generate_game("generated_train", index)
        places = [location for _, location in facts_of(game, "receptacleAtLocation")]
        assert len(set(places)) == len(places)
        ((_, start),) = facts_of(game, "atLocation")
        assert start not in places
        declared = game["pddl_problem"].partition("(:objects")[2].partition("(:init")[0]
        names = re.findall(r"^\s+(\S+) - \w+$", declared, flags=re.MULTILINE)
        assert len({name.lower() for name in names}) == len(names)


def test_entity_names_are_those_of_the_problem_reader():
    for household in households(30):
        game = parse_game(
            {
                "pddl_domain": domain_text("put"),
                "grammar": grammar_text("put", "test"),
                "pddl_problem": problem_text(household, "test"),
            }
        )
        names = {identifier.lower(): name for identifier, name in entity_names(household).items()}
        assert names == {identifier: name for identifier, name in game.names.items() if "_bar_" in identifier}


def test_shortest_walkthrough_is_shortest():
    # In rooms with three pieces of furniture and two things all states can be searched.
    tiny = Difficulty(max_receptacles=3, max_objects=2)
    for index in range(30):
        game = generate_game("generated_train", index, difficulty=tiny)
        assert _fewest_commands(game) == len(game["walkthrough"])


def _fewest_commands(game):
    simulator = Simulator(parse_game(game))
    simulator.reset()
    waiting = deque([(0, simulator.get_state())])
    seen = {simulator.state_key()}
    while waiting:
        number, state = waiting.popleft()
        simulator.set_state(state)
        for command in simulator.admissible():
            simulator.set_state(state)
            simulator.step(command)
            if simulator.won:
                return number + 1
            if simulator.state_key() not in seen:
                seen.add(simulator.state_key())
                waiting.append((number + 1, simulator.get_state()))
    return None


def test_reaches_goal_refuses_walkthroughs_with_a_step_missing():
    for household in households(60):
        steps = shortest_walkthrough(household)
        assert reaches_goal(household, steps)
        for missing in range(len(steps)):
            assert not reaches_goal(household, steps[:missing] + steps[missing + 1 :])


def test_difficulty_limits_rooms():
    for name, difficulty in DIFFICULTIES.items():
        for index in range(50):
            game = generate_game("generated_train", index, difficulty=name)
            assert game["task_type"] in difficulty.task_types
            if difficulty.max_receptacles is not None:
                assert len(facts_of(game, "receptacleType")) <= difficulty.max_receptacles
            if difficulty.max_objects is not None:
                assert len(facts_of(game, "pickupable")) <= difficulty.max_objects


def test_difficulty_is_a_value():
    same = Difficulty(max_receptacles=8, max_objects=8)
    assert as_difficulty("easy") == same
    assert generate_game("generated_train", 5, difficulty=same) == generate_game(
        "generated_train", 5, difficulty="easy"
    )
    assert generate_game("generated_train", 5) == generate_game("generated_train", 5, difficulty="standard")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task_types": ("pick_and_place",)}, "Did you mean 'pick_and_place_simple'"),
        ({"task_types": "pick_and_place_simple"}, "must be a tuple"),
        ({"rooms": ()}, "at least one of kitchen"),
        ({"rooms": ("bathroom",)}, "occurs only in"),
        ({"max_receptacles": 2}, "at least 3 or None; got 2"),
        ({"max_objects": 0}, "at least 2 or None; got 0"),
    ],
)
def test_difficulty_refuses_what_makes_no_game(settings, message):
    with pytest.raises(BadOptionError, match=message):
        Difficulty(**settings)


def test_generate_game_refuses_what_it_does_not_know():
    with pytest.raises(UnknownSplitError, match="Did you mean 'generated_train'"):
        generate_game("generated_trian", 0)
    with pytest.raises(UnknownTaskError, match="0 to 399; got index 400"):
        generate_game("generated_valid", 400)
    with pytest.raises(UnknownTaskError, match="got index -1"):
        generate_game("generated_valid", -1)
    with pytest.raises(BadOptionError, match="wording must be 'put' or 'move'"):
        generate_game("generated_valid", 0, wording="drop")
    with pytest.raises(BadOptionError, match="Did you mean 'easy'"):
        generate_game("generated_valid", 0, difficulty="esay")


def test_rejection_counts_add_up():
    drawn, reasons = rejection_counts("generated_train", 200)
    assert drawn == 200 + sum(reasons.values())
    assert set(reasons) == set(Rejection)
    assert reasons[Rejection.UNSOLVED] == 0
    assert reasons[Rejection.NO_LAMP] > 0


def test_written_games_can_be_loaded(tmp_path):
    game = generate_game("generated_test", 7, wording="move")
    path = write_game(tmp_path / "trial", game)
    assert json.loads(path.read_text()) == game
    assert load_game(path).walkthrough == tuple(game["walkthrough"])
    described = json.loads((path.parent / "traj_data.json").read_text())
    assert described["task_type"] == game["task_type"]
    assert f"FloorPlan{described['scene']['scene_num']}" == game["scene"]


def test_data_hold_every_room_with_what_its_tasks_need():
    scenes = load_scenes()
    assert len(scenes) == 120
    assert Counter(scene.room for scene in scenes.values()) == dict.fromkeys(TASK_ROOMS["pick_and_place_simple"], 30)
    assert sum(scene.held_out for scene in scenes.values()) == 12
    for scene in scenes.values():
        kinds = {receptacle.kind for receptacle in scene.receptacles}
        if scene.room == "kitchen":
            assert {"SinkBasin", "Microwave", "Fridge"} <= kinds
        if scene.room == "bathroom":
            assert {"SinkBasin", "Toilet"} <= kinds


def test_identifiers_are_spelled_as_in_published_games():
    assert thing_identifier("Apple", (-12, 93, 0)) == "Apple_bar__minus_00_dot_12_bar__plus_00_dot_93_bar_00_dot_00"
    assert thing_identifier("SinkBasin", (5, 100, -250)).startswith("Sink_bar__plus_00_dot_05_bar__plus_01_dot_00_bar_")
    assert thing_identifier("SinkBasin", (5, 100, -250)).endswith("_bar__minus_02_dot_50_bar_SinkBasin")
    assert location_identifier(-5, 4, 2, -30) == "loc_bar__minus_5_bar_4_bar_2_bar__minus_30"


def test_draws_follow_their_weights():
    draws = Draws("weights")
    seen = Counter(draws.weighted("abc", (1, 0, 3)) for _ in range(4000))
    assert seen["b"] == 0
    assert seen["c"] / 4000 == pytest.approx(0.75, abs=0.03)  # standard deviation sqrt(0.75 * 0.25 / 4000) = 0.7 %
    assert sorted(draws.shuffled(range(20))) == list(range(20))
    assert {draws.below(3) for _ in range(100)} == {0, 1, 2}
    assert Draws("a").uniform() == Draws("a").uniform() != Draws("b").uniform()


def test_domain_means_what_the_published_domain_means(alfworld_data):
    path = alfworld_data / "logic" / "alfred.pddl"
    if not path.exists():
        pytest.skip("this copy of the data has no logic directory")
    assert action_digests(domain_text("put")) == action_digests(path.read_text())


@pytest.mark.parametrize("wording", ["put", "move"])
@pytest.mark.parametrize("index", [0, 1])
def test_walkthroughs_win_in_the_original_engine(index, wording):
    textworld = pytest.importorskip("textworld")
    pddl = pytest.importorskip("textworld.envs.pddl")
    tw_env = pytest.importorskip("alfworld.agents.environment.alfred_tw_env")
    game = generate_game("generated_test", index, wording=wording, difficulty="easy")
    engine = tw_env.AlfredDemangler(pddl.PddlEnv(textworld.EnvInfos(won=True, admissible_commands=True)))
    engine.load(game)
    native = Simulator(parse_game(game))
    state = engine.reset()
    assert native.reset() == state.feedback
    for command in game["walkthrough"]:
        assert list(native.admissible()) == state.admissible_commands
        state, _, _ = engine.step(command)
        native.step(command)
    assert state.won
