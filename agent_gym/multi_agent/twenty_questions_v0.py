"""Twenty questions: an asker finds out what an answerer thinks of, by questions that are answered yes or no.

The answerer is told the thing and answers `Yes.`, `No.` or `Invalid Question.`; the asker asks whatever it likes. It
wins when it names the thing ("Is it a dog?"): the game knows that by itself, whatever the answerer says. After twenty
questions the game is cut off. The things, and what is true of each, stand in a table
(`agent_gym.multi_agent.twenty_questions_things`); a task is a thing's number in it, so that who reads the task learns
nothing, and `task_of` tells the number.

The asker's reward is 1 for naming the thing, or with `reward="questions"` that of ArCHer's experiments (Y. Zhou et al.,
2024): −1 for every question but the one that names it. The answerer pays a twentieth for every answer that disagrees
with the table, and its score is the share of those that agree; questions that the table has no answer to don't count.

A question that the table can't answer is no lost turn: it is passed on, for who answers may know more. `action_valid`
says whether the rules understand it. Admissible are the known questions that have not been answered yet. Of an
answerer, what is none of the three answers counts as `Invalid Question.`

    >>> from agent_gym.multi_agent import twenty_questions_v0
    >>> env = twenty_questions_v0.env()
    >>> env.reset(options={"task": twenty_questions_v0.task_of("cat")})
    >>> env.step("Is it alive?")
    >>> env.step(env.expert_action())
    >>> env.last()[0]["text"]
    'Yes.'
"""

from __future__ import annotations

import functools
from typing import Any, ClassVar

from pettingzoo.utils.wrappers import OrderEnforcingWrapper

from agent_gym import keys
from agent_gym.core import Expert, with_known_settings
from agent_gym.envs.diagnostic import check_count, check_name, digest
from agent_gym.errors import UnknownTaskError, did_you_mean
from agent_gym.multi_agent.core import TextGame
from agent_gym.multi_agent.parts import View, one_line
from agent_gym.multi_agent.twenty_questions_answers import INVALID, NO, YES, answer, fact_of, known_questions
from agent_gym.multi_agent.twenty_questions_asker import Halver, LooksUp
from agent_gym.multi_agent.twenty_questions_things import kinds, things

ASKER, ANSWERER = "asker_0", "answerer_0"
FALSE_ANSWER = 1 / 20
"""What a false answer costs who gives it."""
REWARDS = ("questions", "success")
FORMS = ("Is it <a thing, a kind of thing, or how it is>?", "Does it <what it does or has>?", "Can you <do> it?")
_ANSWERS = {"yes": YES, "no": NO, "invalid question": INVALID}


class TwentyQuestions(TextGame):
    """The game; see the module."""

    metadata: dict[str, Any] = {"name": "twenty_questions_v0", "render_modes": ["ansi"], "is_parallelizable": False}  # noqa: RUF012  as in every PettingZoo environment
    roles: ClassVar = {ASKER: "asker", ANSWERER: "answerer"}
    splits: ClassVar = ("test", "train", "valid")
    example_task: ClassVar = "train/002"
    costs_turn: ClassVar = False

    def __init__(
        self,
        *,
        split: str = "train",
        questions: int | None = 20,
        reward: str = "success",
        render_mode: str | None = None,
    ) -> None:
        """Set up the things.

        Args:
            split: `train`, `valid` or `test`.
            questions: How many may be asked; `None` for any number.
            reward: `"success"` or `"questions"`.
            render_mode: `"ansi"` or `None`.
        """
        limit = None if questions is None else 2 * check_count("questions", questions, 1, 100_000)
        super().__init__(tasks=_tasks(), split=split, max_turns=limit, render_mode=render_mode)
        self._reward = check_name("reward", reward, REWARDS)
        self._name = ""
        self._question: str | None = None
        self._known: tuple[tuple[str, str], ...] = ()
        self._right = self._counted = 0
        self._over = self._found = False

    def instructions(self, agent: str) -> str:
        """The rules and commands."""
        if agent == ASKER:
            return (
                "The other player thinks of a thing, which is one of: "
                f"{', '.join(kinds())}. Find out which, with as few questions as you can; answers are {YES} or {NO} "
                "You have found it when you name it.\n"
                'Commands: questions, such as "Is it alive?", "Does it have legs?", "Can you eat it?", "Is it a dog?".'
            )
        return (
            "You think of a thing, and the other player asks questions to find out what it is. Answer truly.\n"
            f"Commands: {YES} {NO} {INVALID}"
        )

    def make_expert(self, agent: str) -> Expert:
        """Return who asks what splits best, or who looks the answer up."""
        return Halver() if agent == ASKER else LooksUp()

    def _start(self, task: str) -> None:
        self._name = list(things())[int(task.partition("/")[2]) - 1]
        self._question, self._known = None, ()
        self._right = self._counted = 0
        self._over = self._found = False
        self._tell(ASKER, "Your task is to find out what thing the other player is thinking of.")
        self._tell(ANSWERER, f"Your task is to answer questions about a thing. The thing is: {self._name}.")

    def _turn(self) -> str | None:
        if self._over:
            return None
        return ASKER if self._question is None else ANSWERER

    def _understands(self, agent: str, command: str) -> bool:
        return fact_of(command) is not None if agent == ASKER else _plain(command) in _ANSWERS

    def _play(self, agent: str, command: str | None) -> None:
        if agent == ASKER:
            self._ask(one_line(self._commands[ASKER] or ""))
        else:
            self._answer(_ANSWERS[_plain(command)] if command is not None else INVALID)

    def _ask(self, question: str) -> None:
        if fact_of(question) == f"name:{self._name}":
            self._over = self._found = True
            self._pay(ASKER, float(self._reward == "success"))
            self._tell(ASKER, f"{YES} You have found it.")
            self._tell(ANSWERER, f"The question is: {question}\nThat is the thing.")
            return
        self._question = question
        self._pay(ASKER, -float(self._reward == "questions"))
        self._tell(ANSWERER, f"The question is: {question}")

    def _answer(self, said: str) -> None:
        assert self._question is not None, "there is a question to answer"
        true = answer(things()[self._name], self._question)
        if true != INVALID:
            self._counted += 1
            self._right += said == true
            self._pay(ANSWERER, -FALSE_ANSWER * (said != true))
        if said != INVALID:
            self._known = tuple(sorted({*self._known, (_about(self._question), said)}))
        self._question = None
        self._tell(ASKER, said)

    def _cut(self) -> None:
        self._over = True

    @property
    def _truth(self) -> float:
        """The answerer's share of answers that agree with the table, of those that the table knows."""
        return self._right / self._counted if self._counted else 1.0

    def _view(self, agent: str) -> View:
        known = ",".join(f"{about}={said[0]}" for about, said in self._known)
        if agent == ASKER:
            told = {about for about, _ in self._known}
            return View(
                key=f"asker:{known}{':found' * self._found}",
                commands=tuple(question for question, fact in _questions() if fact not in told),
                score=float(self._found),
                more={keys.COMMAND_FORMS: FORMS if self._turn() == ASKER else ()},
            )
        return View(
            key=f"answerer:{self._name}:{known}:{'' if self._question is None else _about(self._question)}",
            commands=(INVALID, NO, YES),
            score=self._truth * self._over,
        )

    def _get_state(self) -> tuple[Any, ...]:
        return self._question, self._known, self._right, self._counted, self._over, self._found

    def _set_state(self, state: tuple[Any, ...]) -> None:
        self._question, self._known, self._right, self._counted, self._over, self._found = state


def _about(question: str) -> str:
    """Return the fact that a question asks for; one that the rules don't understand is known by a digest."""
    return fact_of(question) or f"{digest(question) % 16**8:08x}"


def _plain(said: str) -> str:
    return said[:100].strip().rstrip(".!?").strip().lower()


@functools.cache
def _questions() -> tuple[tuple[str, str], ...]:
    """Return each question with the fact that it asks for, sorted."""
    return tuple(sorted((question, fact) for fact, question in known_questions().items()))


@functools.cache
def _tasks() -> dict[str, list[str]]:
    """Deal out the things, five in seven to `train`."""
    dealt: dict[str, list[str]] = {"test": [], "train": [], "valid": []}
    for name in things():
        dealt[_split(name)].append(task_of(name))
    return {split: sorted(ids) for split, ids in dealt.items()}


def _split(name: str) -> str:
    return ("test", "valid", *["train"] * 5)[digest("twenty questions", name) % 7]


def task_of(name: str) -> str:
    """Return the task in which a thing is thought of.

    Raises:
        UnknownTaskError: If the table has no such thing.
    """
    if name not in things():
        raise UnknownTaskError(f"expected the name of a thing, got {name!r}.{did_you_mean(name, things())}")
    return f"{_split(name)}/{list(things()).index(name) + 1:03}"


@with_known_settings
def raw_env(
    *,
    split: str = "train",
    questions: int | None = 20,
    reward: str = "success",
    render_mode: str | None = None,
) -> TwentyQuestions:
    """Make the game without PettingZoo's checks of the order of calls."""
    return TwentyQuestions(split=split, questions=questions, reward=reward, render_mode=render_mode)


def env(**settings: Any) -> OrderEnforcingWrapper:
    """Make the game; takes what `raw_env` takes."""
    return OrderEnforcingWrapper(raw_env(**settings))
