"""A team in one house: two to four robots, a task in temporal logic, on the simulator of `AgentGym/ALFWorld-v0`.

All robots act at the same time. Their commands are carried out in their order, `robot_0` first, so that a robot that
comes too late reads "Nothing happens."; a command that is impossible, or means nothing, does the same. The house is no
secret: every robot is told at the start what is where, and after each step what the others did to the house. So all
know all, and `state_key` names the state of the whole team.

    >>> from agent_gym.multi_agent import household_v0
    >>> env = household_v0.parallel_env()
    >>> observations, infos = env.reset(options={"task": "train/robots-2/depth-1/0028"})
    >>> print(observations["robot_0"]["text"].splitlines()[-1])
      task = F "in(pencil 1, desk 1)" && F "in(book 1, bed 1)"
    >>> observations, rewards, terminations, truncations, infos = env.step({"robot_0": "wait", "robot_1": "look"})
    >>> infos["robot_0"]["progress"]
    0.0

**The specification** is one to three levels of formulas over finite traces. `agent_gym.ltl.task` says what they mean;
the decisions are these. The trace begins with the state after the first joint step. A formula of a lower level is
started when the one above needs it, in the step after that, and its name is true in exactly the step in which it
becomes satisfied; then it is done for good. What is true of the house stays true, so an errand done too early counts as
soon as its turn comes, unless its own formula forbids the order. The task is violated as soon as a formula that has
been started can't be satisfied any more; that ends the episode and pays nothing. A limit on steps that cuts the episode
off pays nothing either: what is undecided is not satisfied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pettingzoo.utils.conversions import aec_to_parallel_wrapper
from pettingzoo.utils.wrappers import OrderEnforcingWrapper

from agent_gym import keys
from agent_gym.core import with_known_settings
from agent_gym.envs.diagnostic import check_count, check_name, digest
from agent_gym.errors import BadOptionError, EpisodeError
from agent_gym.ltl.task import Task
from agent_gym.multi_agent.core import TextGame
from agent_gym.multi_agent.household_expert import TeamExpert
from agent_gym.multi_agent.household_facts import matches, read_proposition
from agent_gym.multi_agent.household_tasks import DEPTHS, SIZES, HouseTask, load_task, task_ids
from agent_gym.multi_agent.household_team import WAIT, TeamSimulator, changes
from agent_gym.multi_agent.parts import View

PROGRESS = "progress"
"""Entry of `info`: the share of the specification that is done, 0 to 1, or −1 once it is violated; a potential."""
KEYS = ("own", "team")


class Household(TextGame):
    """The game; see the module."""

    metadata: dict[str, Any] = {"name": "household_v0", "render_modes": ["ansi"], "is_parallelizable": True}  # noqa: RUF012  as in every PettingZoo environment
    splits: ClassVar = tuple(SIZES)

    def __init__(
        self,
        *,
        robots: int = 2,
        depth: int | None = None,
        cost: float = 0.0,
        steps: int | None = 60,
        key: str = "team",
        split: str = "train",
        render_mode: str | None = None,
    ) -> None:
        """Set up the tasks of a team.

        Args:
            robots: How many, 1 to 4.
            depth: Levels of the specifications, 1 to 3; `None` mixes them.
            cost: Taken from a robot's reward for each of its commands but `wait`.
            steps: Joint steps after which an episode is truncated, or `None`.
            key: What `state_key` names: `"team"`, the state of the whole team, or `"own"`, see `raw_env`.
            split: Split to draw tasks from.
            render_mode: `"ansi"` or `None`.

        Raises:
            BadOptionError: If a setting means nothing.
            UnknownSplitError: If there is no such split.
        """
        check_count("robots", robots, 1, 4)
        if depth is not None:
            check_count("depth", depth, min(DEPTHS), max(DEPTHS))
        if steps is not None:
            check_count("steps", steps, 1, 100_000)
        if isinstance(cost, bool) or not isinstance(cost, int | float) or not 0.0 <= cost <= 1.0:
            raise BadOptionError(f"cost must be a number from 0 to 1, got {cost!r}.")
        # Each robot has a role of its own: who comes first makes a difference.
        self.roles = {f"robot_{number}": f"robot_{number}" for number in range(robots)}  # type: ignore[misc]  # of the class elsewhere
        self.example_task = f"train/robots-{robots}/depth-{depth or 1}/0000"  # type: ignore[misc]  # likewise
        super().__init__(
            tasks=task_ids(robots, depth),
            split=split,
            max_turns=None if steps is None else steps * robots,
            render_mode=render_mode,
        )
        self.cost = float(cost)
        self.key = check_name("key", key, KEYS)
        self._said: list[str] = []
        self._now: dict[str, tuple[str, tuple[str, ...]]] = {}

    def instructions(self, agent: str) -> str:
        """The rules and commands."""
        return (
            f"You are {agent}, one of {len(self.roles)} robots in a house, which you have to bring into the state that "
            "the task describes, together and in as few steps as you can. All robots act at the same time; if two "
            "want the same thing, the one with the lower number gets it. You can hold one thing at a time. You reach "
            "into a place when you are there and it is open.\n"
            "The task is given as formulas. F x: x is to become true at some time. !a U b: a must not become true "
            "before b. in(egg 1, fridge 1): the egg is in the fridge; 2 in(egg, fridge 1): two eggs are; hot(…), "
            "cool(…), clean(…): the thing has been heated, cooled, cleaned; on(…): the lamp has been switched on. "
            "Other names stand for the formulas below them.\n"
            "Commands: go to PLACE, open PLACE, close PLACE, take THING from PLACE, put THING in/on PLACE, clean THING "
            "with SINKBASIN, heat THING with MICROWAVE, cool THING with FRIDGE, slice THING with KNIFE, use LAMP, "
            "examine PLACE or THING, inventory, look, wait."
        )

    def make_expert(self, agent: str) -> TeamExpert:
        """Return a robot that plans for the whole team and does its own part."""
        return TeamExpert(agent)

    @property
    def house(self) -> TeamSimulator:
        """The house of the running episode, for planners and tests that may look at the state."""
        return self._house

    @property
    def specification(self) -> Task:
        """The specification of the running episode, and how far it is."""
        return self._spec

    def _start(self, task: str) -> None:
        about: HouseTask = load_task(task)
        self._house = TeamSimulator(about.game, len(self.roles))
        self._spec = Task(about.levels)
        self._levels = about.levels
        self._names = sorted(self._spec.propositions)
        wanted = {read_proposition(name).thing for name in self._names}
        things = sorted(self._house.facts().where)
        self._things = [thing for thing in things if any(matches(thing, one) for one in wanted)]
        self._said = []
        for agent in self.possible_agents:
            self._tell(agent, briefing(agent, self.possible_agents, self._house, about.levels))
        self._first = f"{digest(self._text(self.possible_agents[0])):016x}"
        self._labels = self._true_now()
        self._note()

    def _note(self) -> None:
        """Ask the specification how things stand, once in a joint step."""
        self._now = {}
        self._verdict, self._progress, self._left = self._spec.verdict, self._spec.progress, self._spec.key

    def _turn(self) -> str | None:
        return None if self._verdict != "undecided" else self.possible_agents[len(self._said)]

    def _is_asked(self, agent: str) -> bool:
        return self.turn is not None and agent in self.possible_agents[len(self._said) :]

    def _understands(self, agent: str, command: str) -> bool:
        return command.strip() in self._known(agent)[1]

    def _play(self, agent: str, command: str | None) -> None:
        self._said.append("" if command is None else command.strip())
        if len(self._said) == len(self.possible_agents):
            said, self._said = self._said, []
            self._carry_out(said)

    def _carry_out(self, said: list[str]) -> None:
        """Let all robots act, and tell everybody what came of it."""
        done = self._house.step(said)
        before, self._labels = self._labels, self._true_now()
        progress, verdict = self._progress, self._spec.step(self._labels)
        self._note()
        news = [f"Now true: {name}." for name in self._names if name in self._labels - before]
        news += [f"No longer true: {name}." for name in self._names if name in before - self._labels]
        if verdict == "undecided" and self._progress != progress:
            news.append(f"Done so far: {self._progress:.0%}.")
        news += {"satisfied": ["The task is done."], "violated": ["The task can't be done any more."]}.get(verdict, [])
        acts = [
            f"{agent}: {command}"
            for agent, command, (_, possible) in zip(self.possible_agents, said, done, strict=True)
            if possible and changes(command)
        ]
        for agent, command, (answer, _) in zip(self.possible_agents, said, done, strict=True):
            others = [act for act in acts if not act.startswith(f"{agent}: ")]
            self._tell(agent, "\n".join([answer, *others, *news]))
            self._pay(agent, float(verdict == "satisfied") - self.cost * (command != WAIT))

    def _view(self, agent: str) -> View:
        key, commands = self._known(agent)
        return View(
            key=key,
            commands=commands,
            score=float(self._verdict == "satisfied"),
            more={
                keys.SUBGOALS: tuple(sorted(self._labels)),
                PROGRESS: self._progress,
                keys.SPECIFICATION: tuple(dict(level) for level in self._levels),
            },
        )

    def _known(self, agent: str) -> tuple[str, tuple[str, ...]]:
        """Return key and admissible commands at the beginning of the joint step."""
        if agent not in self._now:
            number = self.possible_agents.index(agent)
            commands = self._house.admissible(number)
            state = self._house.key() if self.key == "team" else self._own_state(number, commands)
            self._now[agent] = f"{agent}:{self._first}:{state}:{self._left}", commands
        return self._now[agent]

    def _own_state(self, number: int, commands: tuple[str, ...]) -> str:
        facts = self._house.facts()
        states = sorted(pair for pair in facts.states if pair[1] in self._things)
        places = [facts.where.get(thing) for thing in self._things]
        return f"{self._house.body(number)}:{digest(places, states, commands):016x}"

    def _true_now(self) -> frozenset[str]:
        facts = self._house.facts()
        return frozenset(name for name in self._names if read_proposition(name).holds(facts))

    def _get_state(self) -> Any:
        return self._house.get_state(), self._spec.get_state(), tuple(self._said)

    def _set_state(self, state: Any) -> None:
        house, spec, said = state
        self._house.set_state(house)
        self._spec.set_state(spec)
        self._said = list(said)
        self._labels = self._true_now()
        self._note()


def briefing(agent: str, team: Sequence[str], house: TeamSimulator, levels: Sequence[Mapping[str, str]]) -> str:
    """Return what a robot is told at the start."""
    others = [other for other in team if other != agent]
    return "\n".join(
        [
            f"You are {agent}{', in a team with ' + ', '.join(others) if others else ''}. In the house there are:",
            *house.furniture(),
            "",
            "Your task is to make this true:",
            *(f"  {name} = {formula}" for level in levels for name, formula in level.items()),
        ]
    )


@with_known_settings
def raw_env(
    *,
    robots: int = 2,
    depth: int | None = None,
    cost: float = 0.0,
    steps: int | None = 60,
    key: str = "team",
    split: str = "train",
    render_mode: str | None = None,
) -> Household:
    """Make the game, robots one after the other, without PettingZoo's checks of the order of calls.

    With `key="own"` a state key names what a robot needs for its own part: its place and hands, its commands, where the
    things of the specification are and what has been done to them, and what is left of the specification. It leaves out
    the other robots and the rest of the house. So there are far fewer keys, for a table or for GiGPO's anchors, and
    equal ones no longer promise equal futures.
    """
    return Household(robots=robots, depth=depth, cost=cost, steps=steps, key=key, split=split, render_mode=render_mode)


def env(**settings: Any) -> OrderEnforcingWrapper:
    """Make the game, robots one after the other; takes what `raw_env` takes. A step ends with the last robot."""
    return OrderEnforcingWrapper(raw_env(**settings))


class ParallelHousehold(aec_to_parallel_wrapper):  # type: ignore[misc]  # PettingZoo is published without types
    """All robots at once, by PettingZoo's conversion; a step that is not for all of them moves none."""

    def step(self, actions: dict[str, str]) -> Any:
        """Carry out a command of each robot; see PettingZoo's `ParallelEnv`.

        Raises:
            EpisodeError: If a robot has no command, and when nothing is played.
        """
        playing = getattr(self, "agents", [])  # PettingZoo's has none before the first reset
        if not playing:
            raise EpisodeError("step() was called while nothing is played: call reset() to start an episode.")
        missing = [agent for agent in playing if agent not in actions]
        if missing:
            raise EpisodeError(
                f"expected a command for each of {playing}, got none for {', '.join(missing)}: give one that is "
                f"to do nothing {WAIT!r}."
            )
        return super().step(actions)


def parallel_env(**settings: Any) -> ParallelHousehold:
    """Make the game in which all robots act at once; takes what `raw_env` takes."""
    return ParallelHousehold(raw_env(**settings))
