"""Writing a household down as the texts of a ``game.tw-pddl`` file."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from agent_gym.envs.alfworld.generator_facts import Fixture, Receptacle, load_kinds, read_text
from agent_gym.envs.alfworld.generator_world import APPLIANCES, LAMP, Goal, Household, Thing

_SENTENCES = {
    "pick_and_place_simple": ("put a {object} in {receptacle}", "put some {object} on {receptacle}"),
    "look_at_obj_in_light": ("look at {object} under the {lamp}", "examine the {object} with the {lamp}"),
    "pick_clean_then_place_in_recep": (
        "put a clean {object} in {receptacle}",
        "clean some {object} and put it in {receptacle}",
    ),
    "pick_heat_then_place_in_recep": (
        "put a hot {object} in {receptacle}",
        "heat some {object} and put it in {receptacle}",
    ),
    "pick_cool_then_place_in_recep": (
        "put a cool {object} in {receptacle}",
        "cool some {object} and put it in {receptacle}",
    ),
    "pick_two_obj_and_place": ("put two {object} in {receptacle}", "find two {object} and put them in {receptacle}"),
}
"""The benchmark's two task sentences for each task type."""
_STATES = {"cleanable": "isClean", "heatable": "isHot", "coolable": "isCool"}
_NAMED_BY_DOMAIN_RECEPTACLES = ("SinkBasin", "Microwave", "Fridge")
_NAMED_BY_DOMAIN_OBJECTS = ("Knife", "ButterKnife")


@cache
def domain_text(wording: str) -> str:
    """The PDDL domain: with the action ``help`` in the "move" wording."""
    domain = read_text("household.pddl")
    if wording == "put":
        return domain
    body = domain.rstrip()
    assert body.endswith(")"), "household.pddl must end with the domain's closing parenthesis"
    return f"{body[:-1]}\n{read_text('household_help.pddl')})\n"


@cache
def _grammar(wording: str) -> str:
    return read_text("household.twl2") + read_text(f"household_{wording}.twl2")


def grammar_text(wording: str, sentence: str) -> str:
    """The text grammar, with the task sentence inside."""
    return _grammar(wording).replace("UNKNOWN GOAL", sentence, 1)


def task_sentence(goal: Goal, variant: int) -> str:
    """The task in words, without the final full stop; there are two variants, 0 and 1."""
    pattern = _SENTENCES[goal.task_type][variant]
    return pattern.format(object=goal.object_kind.lower(), receptacle=goal.receptacle_kind.lower(), lamp=LAMP.lower())


def problem_text(household: Household, name: str) -> str:
    """The PDDL problem: every entity, every fact of the start, the goal."""
    kinds = load_kinds()
    receptacles, things, fixtures = household.receptacles, household.things, household.fixtures
    objects: tuple[Fixture | Thing, ...] = (*fixtures, *things)
    receptacle_kinds = sorted({found.kind for found in receptacles}.union(_NAMED_BY_DOMAIN_RECEPTACLES))
    object_kinds = sorted({found.kind for found in objects}.union(_NAMED_BY_DOMAIN_OBJECTS))
    located: tuple[Receptacle | Fixture, ...] = (*receptacles, *fixtures)
    places = {found.location for found in located} | {household.start}
    entities = [
        "agent1 - agent",
        *(f"{kind}Type - otype" for kind in object_kinds),
        *(f"{kind}Type - rtype" for kind in receptacle_kinds),
        *(f"{found.identifier} - object" for found in objects),
        *(f"{found.identifier} - receptacle" for found in receptacles),
        *(f"{place} - location" for place in sorted(places)),
    ]
    facts = [
        *(f"(receptacleType {found.identifier} {found.kind}Type)" for found in receptacles),
        *(f"(objectType {found.identifier} {found.kind}Type)" for found in objects),
        *(
            f"(canContain {holder}Type {kind}Type)"
            for holder in sorted({found.kind for found in receptacles})
            for kind in object_kinds
            if kind in kinds.can_contain[holder]
        ),
        *(
            f"({predicate} {found.identifier})"
            for predicate, having in kinds.properties.items()
            for found in objects
            if found.kind in having
        ),
        *(f"(openable {found.identifier})" for found in receptacles if found.openable),
        f"(atLocation agent1 {household.start})",
        *(
            f"(inReceptacle {found.identifier} {receptacles[found.receptacle].identifier})"
            for found in objects
            if found.receptacle >= 0
        ),
        *(f"(receptacleAtLocation {found.identifier} {found.location})" for found in receptacles),
        *(f"(objectAtLocation {found.identifier} {found.location})" for found in fixtures),
        *(f"(objectAtLocation {found.identifier} {receptacles[found.receptacle].location})" for found in things),
    ]
    return (
        f"(define (problem {name})\n (:domain alfred)\n (:objects\n{_lines(entities)}\n )\n"
        f" (:init\n{_lines(facts)}\n )\n (:goal\n{_goal_text(household.goal)}\n )\n)\n"
    )


def _lines(rows: Iterable[str]) -> str:
    return "  " + "\n  ".join(rows)


def _goal_text(goal: Goal) -> str:
    """The goal, in the form that the benchmark gives to this task type."""
    kind, holder = f"{goal.object_kind}Type", f"{goal.receptacle_kind}Type"
    if goal.task_type == "look_at_obj_in_light":
        return f"""  (and
   (exists (?ot - object ?r - receptacle ?a - agent ?l - location)
    (and (objectType ?ot {LAMP}Type) (toggleable ?ot) (isToggled ?ot)
     (receptacleAtLocation ?r ?l) (atLocation ?a ?l) (inReceptacle ?ot ?r)))
   (exists (?o - object ?a - agent)
    (and (objectType ?o {kind}) (holds ?a ?o))))"""
    if goal.task_type == "pick_two_obj_and_place":
        return f"""  (and
   (exists (?r - receptacle)
    (exists (?o1 - object)
     (and (objectType ?o1 {kind}) (receptacleType ?r {holder}) (inReceptacle ?o1 ?r)
      (exists (?o2 - object)
       (and (not (= ?o1 ?o2)) (objectType ?o2 {kind}) (receptacleType ?r {holder}) (inReceptacle ?o2 ?r)))))))"""
    able = APPLIANCES.get(goal.task_type, ("", ""))[0]
    state = f"({able} ?o) ({_STATES[able]} ?o) " if able else ""
    return f"""  (and
   (exists (?r - receptacle)
    (exists (?o - object)
     (and {state}(objectType ?o {kind}) (receptacleType ?r {holder}) (inReceptacle ?o ?r)))))"""
