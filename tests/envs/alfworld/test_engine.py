"""The native engine against hand-written expectations; `test_differential.py` holds it against the original."""

import json
import pickle
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_gym.envs.alfworld.engine import NOTHING_HAPPENS, Simulator
from agent_gym.envs.alfworld.generator import generate_game
from agent_gym.envs.alfworld.oracle import plan
from agent_gym.envs.alfworld.problem import load_game, name_entities, parse_game
from agent_gym.errors import StateError
from benchmarks.differential import find_games

# A kitchen by hand: a closed fridge with two apples, a table and a shelf at the same place, a microwave, a sink, a lamp
# on the shelf.
OBJECTS = """
agent1 - agent
loc_bar_1 loc_bar_2 loc_bar_3 loc_bar_4 loc_bar_5 - location
fridge_bar_1 table_bar_1 shelf_bar_1 microwave_bar_1 sink_bar_1_bar_sinkbasin - receptacle
apple_bar_1 apple_bar_2 knife_bar_1 desklamp_bar_1 - object
FridgeType TableType ShelfType MicrowaveType SinkBasinType - rtype
AppleType KnifeType DeskLampType - otype
"""
FACTS = """
(atLocation agent1 loc_bar_5)
(receptacleAtLocation fridge_bar_1 loc_bar_1) (receptacleAtLocation table_bar_1 loc_bar_2)
(receptacleAtLocation shelf_bar_1 loc_bar_2) (receptacleAtLocation microwave_bar_1 loc_bar_3)
(receptacleAtLocation sink_bar_1_bar_sinkbasin loc_bar_4)
(receptacleType fridge_bar_1 FridgeType) (receptacleType table_bar_1 TableType) (receptacleType shelf_bar_1 ShelfType)
(receptacleType microwave_bar_1 MicrowaveType) (receptacleType sink_bar_1_bar_sinkbasin SinkBasinType)
(openable fridge_bar_1) (openable microwave_bar_1)
(canContain TableType AppleType) (canContain ShelfType AppleType) (canContain FridgeType AppleType)
(canContain TableType KnifeType)
(objectType apple_bar_1 AppleType) (objectType apple_bar_2 AppleType)
(objectType knife_bar_1 KnifeType) (objectType desklamp_bar_1 DeskLampType)
(inReceptacle apple_bar_1 fridge_bar_1) (inReceptacle apple_bar_2 fridge_bar_1)
(inReceptacle knife_bar_1 table_bar_1) (inReceptacle desklamp_bar_1 shelf_bar_1)
(objectAtLocation apple_bar_1 loc_bar_1) (objectAtLocation apple_bar_2 loc_bar_1)
(objectAtLocation knife_bar_1 loc_bar_2) (objectAtLocation desklamp_bar_1 loc_bar_2)
(pickupable apple_bar_1) (pickupable apple_bar_2) (pickupable knife_bar_1)
(heatable apple_bar_1) (coolable apple_bar_1) (cleanable apple_bar_1) (cleanable knife_bar_1)
(sliceable apple_bar_1) (sliceable apple_bar_2) (toggleable desklamp_bar_1)
"""
GOAL = """(exists (?r - receptacle) (exists (?o - object)
  (and (objectType ?o AppleType) (receptacleType ?r TableType) (isHot ?o) (inReceptacle ?o ?r))))"""


def kitchen(wording="put", facts=FACTS, goal=GOAL):
    words = generate_game("generated_train", 0, wording=wording)
    problem = f"(define (problem kitchen) (:domain alfred) (:objects {OBJECTS}) (:init {facts}) (:goal {goal}))"
    return parse_game({**words, "pddl_problem": problem, "walkthrough": None}, "kitchen")


def test_names_count_down_along_the_sorted_ids():
    # ids sorted: apple_bar_1, apple_bar_2, sink_bar_1_bar_sinkbasin; two apples, so the first gets 2
    names = name_entities({"apple_bar_2", "apple_bar_1", "sink_bar_1_bar_sinkbasin", "agent1"})
    assert names == {
        "apple_bar_1": "apple 2",
        "apple_bar_2": "apple 1",
        "sink_bar_1_bar_sinkbasin": "sinkbasin 1",
        "agent1": "agent1 ",
    }


def test_a_whole_task_by_hand():
    sim = Simulator(kitchen())
    first = sim.reset()
    assert (
        "Looking quickly around you, you see a fridge 1, a microwave 1, a shelf 1, a sinkbasin 1, and a table 1."
        in first
    )
    # locations loc_bar_1 … loc_bar_5 are named loc 5 … loc 1
    assert sim.step("go to fridge 1") == ("You arrive at loc 5. The fridge 1 is closed.", True)
    assert sim.step("take apple 2 from fridge 1") == (NOTHING_HAPPENS, False)
    assert sim.step("open fridge 1") == (
        "You open the fridge 1. The fridge 1 is open. In it, you see a apple 2, and a apple 1.",
        True,
    )
    assert sim.step("take apple 2 from fridge 1") == ("You pick up the apple 2 from the fridge 1.", True)
    assert sim.step("inventory") == ("You are carrying: a apple 2.", True)
    assert sim.step("take apple 1 from fridge 1") == (NOTHING_HAPPENS, False)  # hands are full
    assert sim.step("cool apple 2 with fridge 1") == ("You cool the apple 2 using the fridge 1.", True)
    assert sim.step("go to microwave 1")[1]
    assert sim.step("heat apple 2 with microwave 1") == (
        "You heat the apple 2 using the microwave 1.",
        True,
    )  # door shut
    assert sim.step("examine apple 2") == ("This is a hot apple 2.", True)  # hot, no longer cool
    assert sim.step("go to table 1") == ("You arrive at loc 4. On the table 1, you see a knife 1.", True)
    assert not sim.won
    assert sim.step("put apple 2 in/on table 1") == ("You put the apple 2 in/on the table 1.", True)
    assert sim.won


def test_two_receptacles_at_one_place():
    sim = Simulator(kitchen())
    sim.reset()
    sim.step("go to shelf 1")
    # going to the other one from here would change nothing, so it is not offered
    assert "go to table 1" not in sim.admissible()
    assert sim.step("look") == ("You are facing the shelf 1, and table 1. Next to it, you see nothing.", True)
    assert sim.step("use desklamp 1") == ("You turn on the desklamp 1.", True)
    assert sim.step("use desklamp 1") == ("You turn on the desklamp 1.", True)  # the benchmark never says "off"


def test_the_place_where_the_game_starts_can_be_gone_back_to():
    """The words for going there must not depend on where the first steps lead."""
    sim = Simulator(kitchen(facts=FACTS.replace("agent1 loc_bar_5", "agent1 loc_bar_1")))
    sim.reset()
    assert "go to fridge 1" not in sim.admissible()  # it is here
    assert sim.step("go to shelf 1")[1]
    # the fridge's place is named only now: four names of places are left, counted down along the ids
    assert [command for command in sim.admissible() if command.startswith("go to")] == [
        "go to fridge 1",
        "go to microwave 1",
        "go to sinkbasin 1",
    ]
    assert sim.step("go to fridge 1") == ("You arrive at loc 4. The fridge 1 is closed.", True)


def test_what_went_from_one_to_the_other_lies_next_to_it():
    sim = Simulator(kitchen())
    sim.reset()
    for command in (
        "go to fridge 1",
        "open fridge 1",
        "take apple 1 from fridge 1",
        "go to table 1",
        "put apple 1 in/on table 1",
    ):
        assert sim.step(command)[1]
    direct = sim.state_key()
    for command in ("take apple 1 from table 1", "put apple 1 in/on shelf 1"):
        assert sim.step(command)[1]
    assert sim.step("look")[0] == "You are facing the shelf 1, and table 1. Next to it, you see a apple 1."
    for command in ("take apple 1 from shelf 1", "put apple 1 in/on table 1"):
        assert sim.step(command)[1]
    assert sim.step("look")[0] == "You are facing the shelf 1, and table 1. Next to it, you see a apple 1."
    assert sim.state_key() != direct  # the apple lies where it lay then, but "look" answers otherwise


def test_slicing_needs_a_knife_in_hand_and_the_object_at_the_place():
    sim = Simulator(kitchen())
    sim.reset()
    for command in ("go to table 1", "take knife 1 from table 1", "go to fridge 1"):
        assert sim.step(command)[1]
    # the door is closed, but only the place counts
    assert [command for command in sim.admissible() if command.startswith("slice")] == [
        "slice apple 1 with knife 1",
        "slice apple 2 with knife 1",
    ]
    assert sim.step("slice apple 1 with knife 1") == ("You sliced the apple 1 with the knife 1.", True)


def test_the_newer_wording_moves_and_helps():
    sim = Simulator(kitchen("move"))
    sim.reset()
    assert sim.step("go to fridge 1")[0] == "You arrive at fridge 1. The fridge 1 is closed."
    sim.step("open fridge 1")
    sim.step("take apple 1 from fridge 1")
    assert {"help", "move apple 1 to fridge 1"} <= set(sim.admissible())
    assert sim.step("move apple 1 to fridge 1")[0] == "You move the apple 1 to the fridge 1."


def test_white_space_around_a_command_does_not_count_and_inside_it_does():
    sim = Simulator(kitchen())
    sim.reset()
    assert sim.step(" \t\u00a0look\u2003\n")[1]
    assert sim.step("go  to fridge 1") == (NOTHING_HAPPENS, False)
    assert sim.step("Look") == (NOTHING_HAPPENS, False)


def test_an_object_in_two_receptacles_stays_in_the_other_when_taken():
    sim = Simulator(kitchen(facts=FACTS + "(inReceptacle knife_bar_1 shelf_bar_1)"))
    sim.reset()
    sim.step("go to table 1")
    sim.step("take knife 1 from table 1")
    assert sim.step("examine shelf 1")[0] == "On the shelf 1, you see a desklamp 1, and a knife 1."
    assert sim.step("examine table 1")[0] == "On the table 1, you see nothing."


# State keys -----------------------------------------------------------------------------------------------------------


def keys_after(*commands):
    sim = Simulator(kitchen())
    sim.reset()
    for command in commands:
        assert sim.step(command)[1], command
    return sim.state_key()


IN_HAND = ("go to fridge 1", "open fridge 1", "take apple 2 from fridge 1")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((), ("go to fridge 1",)),  # where
        (("go to fridge 1",), ("go to fridge 1", "open fridge 1")),  # open
        (IN_HAND, (*IN_HAND, "put apple 2 in/on fridge 1")),  # held
        (IN_HAND, ("go to fridge 1", "open fridge 1", "take apple 1 from fridge 1")),  # which
        ((*IN_HAND, "cool apple 2 with fridge 1"), IN_HAND),  # cool
        ((*IN_HAND, "go to microwave 1", "heat apple 2 with microwave 1"), (*IN_HAND, "go to microwave 1")),  # hot
        ((*IN_HAND, "go to sinkbasin 1", "clean apple 2 with sinkbasin 1"), (*IN_HAND, "go to sinkbasin 1")),  # clean
        (("go to shelf 1", "use desklamp 1"), ("go to shelf 1",)),  # lit
    ],
)
def test_what_matters_changes_the_key(one, other):
    assert keys_after(*one) != keys_after(*other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("go to fridge 1",), ("go to table 1", "go to fridge 1")),  # the path
        (("go to fridge 1",), ("go to fridge 1", "look", "examine fridge 1", "inventory")),  # having looked
        (("go to fridge 1",), ("go to fridge 1", "open fridge 1", "close fridge 1")),  # having been open
        (("go to fridge 1", "open fridge 1"), (*IN_HAND, "put apple 2 in/on fridge 1")),  # taken and put back
        ((*IN_HAND, "cool apple 2 with fridge 1"), (*IN_HAND, *["cool apple 2 with fridge 1"] * 2)),  # twice
    ],
)
def test_what_does_not_matter_does_not(one, other):
    assert keys_after(*one) == keys_after(*other)


def test_where_an_object_is_said_to_be_is_part_of_the_key_where_a_knife_can_tell():
    """Some published games put an object "at" another place than the receptacle it is in."""
    facts = FACTS.replace("(objectAtLocation apple_bar_1 loc_bar_1)", "(objectAtLocation apple_bar_1 loc_bar_4)")
    fetch_knife = ("go to table 1", "take knife 1 from table 1", "go to fridge 1")
    slicing, keys = [], []
    for detour in ((), ("take apple 2 from fridge 1", "put apple 2 in/on fridge 1")):
        sim = Simulator(kitchen(facts=facts))
        sim.reset()
        for command in ("go to fridge 1", "open fridge 1", *detour, *fetch_knife):
            assert sim.step(command)[1], command
        slicing.append("slice apple 2 with knife 1" in sim.admissible())
        keys.append(sim.state_key())
    assert slicing == [False, True]  # untouched, it can be sliced only where it is "at"; put back, here too
    assert keys[0] != keys[1]


def test_keys_of_different_games_differ():
    assert Simulator(kitchen()).state_key() != Simulator(kitchen("move")).state_key()


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_equal_keys_mean_equal_futures(data):
    index, wording = data.draw(st.integers(0, 40), "game"), data.draw(st.sampled_from(["put", "move"]), "wording")
    game = parse_game(generate_game("generated_train", index, wording=wording, difficulty="easy"))
    meet_and_go_on(game, data.draw(st.randoms(use_true_random=False)))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_equal_keys_mean_equal_futures_in_published_games(data, alfworld_data):
    """Here receptacles share places, and objects are in several receptacles at once."""
    games = find_games(alfworld_data)
    game = load_game(games[data.draw(st.integers(0, len(games) - 1), "game")])
    meet_and_go_on(game, data.draw(st.randoms(use_true_random=False)))


def meet_and_go_on(game, rng):
    """Walk several times through a corner of a game; where keys meet, all that follows from either state is the same.

    The corner is two places, one with several receptacles if there is one, and two objects: walks in a whole house
    hardly ever meet.
    """
    crowded = sorted(r for here in game.receptacles_at.values() if len(here) > 1 for r in here)
    filled = sorted(game.initial_contents)
    corner = [rng.choice(crowded) if crowded else rng.choice(filled), rng.choice(filled)]
    portable = [
        o
        for place in corner
        for r in game.receptacles_at[game.location_of[place]]
        for o in game.initial_contents.get(r, ())
        if o in game.flags["pickupable"]
    ]
    things = {game.names[o] for o in rng.sample(portable, min(2, len(portable)))}
    goes = [f"go to {game.names[r]}" for r in corner]

    def choose(sim):
        possible = [
            command
            for command in sim.admissible()
            if command.startswith(("open", "close")) or any(f" {thing} " in command for thing in things)
        ]
        return rng.choice([*possible, *goes, "look"])

    seen: dict[str, list[dict[str, Any]]] = {}
    for _ in range(4):
        sim = Simulator(game)
        sim.reset()
        for _ in range(40):
            seen.setdefault(sim.state_key(), []).append(sim.get_state())
            sim.step(choose(sim))
    one, other = Simulator(game), Simulator(game)
    assert any(len(states) > 1 for states in seen.values())  # all walks begin in the same state
    for states in seen.values():
        one.set_state(states[0])
        other.set_state(states[-1])
        for _ in range(10):
            assert one.state_key() == other.state_key()
            assert one.admissible() == other.admissible()
            assert one.won == other.won
            assert one.step("look") == other.step("look")
            command = choose(one)
            assert one.step(command) == other.step(command)


# Saving, goals --------------------------------------------------------------------------------------------------------


def test_a_state_pickles_and_later_steps_do_not_change_it():
    sim = Simulator(kitchen())
    sim.reset()
    for command in IN_HAND:
        sim.step(command)
    saved = pickle.dumps(sim.get_state())
    live = sim.get_state()
    key, commands = sim.state_key(), sim.admissible()
    sim.step("cool apple 2 with fridge 1")
    sim.step("put apple 2 in/on fridge 1")
    for state in (live, pickle.loads(saved)):
        sim.set_state(state)
        assert (sim.state_key(), sim.admissible()) == (key, commands)


def test_a_state_of_another_game_is_an_error_and_changes_nothing():
    sim = Simulator(kitchen())
    sim.step("go to fridge 1")
    key = sim.state_key()
    with pytest.raises(StateError, match="load that game"):
        sim.set_state(Simulator(kitchen("move")).get_state())
    assert sim.state_key() == key


def test_the_oracle_wins_by_hand_made_goal():
    sim = Simulator(kitchen())
    sim.reset()
    for command in plan(sim):
        assert sim.step(command)[1]
    assert sim.won


def test_two_different_objects_are_needed_where_the_goal_says_so():
    two = """(exists (?r - receptacle) (exists (?o1 - object) (and
      (objectType ?o1 AppleType) (receptacleType ?r TableType) (inReceptacle ?o1 ?r)
      (exists (?o2 - object) (and (not (= ?o1 ?o2)) (objectType ?o2 AppleType) (inReceptacle ?o2 ?r))))))"""
    sim = Simulator(kitchen(goal=two))
    sim.reset()
    for command in (
        "go to fridge 1",
        "open fridge 1",
        "take apple 1 from fridge 1",
        "go to table 1",
        "put apple 1 in/on table 1",
    ):
        sim.step(command)
    assert not sim.won
    for command in ("go to fridge 1", "take apple 2 from fridge 1", "go to table 1", "put apple 2 in/on table 1"):
        sim.step(command)
    assert sim.won


def test_generated_walkthroughs_win():
    for index in range(12):
        for wording in ("put", "move"):
            data = json.loads(json.dumps(generate_game("generated_valid", index, wording=wording)))
            sim = Simulator(parse_game(data))
            sim.reset()
            for command in data["walkthrough"]:
                assert not sim.won
                assert sim.step(command)[1], command
            assert sim.won
