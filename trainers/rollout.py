"""Play groups of episodes: every member of a group starts from the same state, and only live episodes cost tokens.

Episodes wait in a queue, group by group. Each round of the loop

    fill    every free slot starts the next episode of the queue
    ask     one completion for every live episode, all in one batch
    step    every live episode's environment, with the text of its completion

so that the batch stays full until the queue is empty, and an episode that has ended is neither generated for nor
stepped. A policy that gives answers one by one (`StreamingPolicy`) is asked for the next turn of an episode as soon as
that is known: then a round is what is ready, and a long answer holds up no other episode. What an episode draws comes
from one random stream per turn, numbered by group, member and turn: the outcome does not depend on how many slots there
are or who sits in which.

Agents of one game are episodes too, each in a slot of its own (`agent_gym.multi_agent.slots`). One that has to wait for
another's turn is not asked; its turn is complete, with what it has earned meanwhile, when its next one has come.

An episode that goes wrong is data: it ends as "failed" (an error in the environment, or no answer from a server) or
"cut" (a limit on turns or on the context), with its turns so far. Mistakes in what was asked for, such as an unknown
task, are raised.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import cast

from agent_gym import Frame, SlotEnv, keys
from agent_gym.errors import BadOptionError
from trainers.policies.base import EXPERT_ACTION, Messages, Policy, Request, Sampling, StreamingPolicy
from trainers.samples import Context
from trainers.stepping import each, expert_action, guarded
from trainers.streams import stream
from trainers.types import Completion, Episode, Group, Status, Turn

_NOT_KEPT = {keys.MESSAGES, keys.ADMISSIBLE_ACTIONS, keys.ALIASES[keys.ADMISSIBLE_ACTIONS]}
"""Entries of a frame's `info` that are long and that nothing after the rollout looks at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutStats:
    """What playing cost. Adding two gives the cost of both."""

    episodes: int = 0
    turns: int = 0
    generated_tokens: int = 0
    """Tokens that the policy sampled."""
    prompt_tokens: int = 0
    """Tokens that it read: whole prompts in step context, only what was new in a conversation."""
    wasted_tokens: int = 0
    """Sampled tokens that ended up in no turn, counted and not assumed: 0 unless an environment raised an error."""
    answers_cut: int = 0
    """Answers that met the limit on new tokens."""
    generation_s: float = 0.0
    environment_s: float = 0.0

    def __add__(self, other: "RolloutStats") -> "RolloutStats":
        """Add field by field."""
        sums = {name.name: getattr(self, name.name) + getattr(other, name.name) for name in fields(RolloutStats)}
        return RolloutStats(**sums)

    def side_by_side(self, ranks: int) -> "RolloutStats":
        """Return the same with the seconds of one rank, where `self` adds up those of several that worked at once."""
        return replace(self, generation_s=self.generation_s / ranks, environment_s=self.environment_s / ranks)


def play(
    policy: Policy,
    env: SlotEnv,
    tasks: Sequence[str],
    *,
    group_size: int,
    sampling: Sampling,
    context: Context,
    seed: int,
    first_group: int = 0,
    max_turns: int | None = None,
    baseline: bool = False,
    keep_next: bool = False,
    players: Sequence[Policy] | None = None,
    on_episode: Callable[[str, int, Episode], None] | None = None,
) -> tuple[list[Group], RolloutStats]:
    """Play `group_size` episodes of each task.

    Args:
        policy: Gives the answers, unless `players` do.
        env: Environments whose `info` holds chat messages rendered for `context`.
        tasks: One task per group; a task named twice makes two groups.
        group_size: Episodes per group.
        sampling: How answers are drawn.
        context: What a prompt holds.
        seed: Of everything drawn; the same seed gives the same episodes.
        first_group: Number of the first group in the random streams, for a caller that plays a part of all groups.
        max_turns: Limit on an episode's turns beside the environment's own.
        baseline: Play one more episode of each task greedily, as the last of its group, marked as baseline.
        keep_next: Keep what would have been shown next to an episode that a limit cuts off (`Episode.next_ids`).
        players: Who plays each group, where not all are played by `policy`.
        on_episode: Called with task, member and episode whenever one ends.

    Returns:
        One group per task, in the order of `tasks`, and the cost.

    Raises:
        BadOptionError: If the environment renders no messages, or the request is otherwise wrong.
    """
    if group_size < 1:
        raise BadOptionError(f"group_size must be 1 or more, got {group_size}.")
    players = [policy] * len(tasks) if players is None else players
    table = _Table(players, env, context, sampling, seed, first_group, max_turns, keep_next)
    members = range(group_size + baseline)
    queue = deque((group, member) for group in range(len(tasks)) for member in members)
    ended: dict[tuple[int, int], Episode] = {}
    try:
        while queue or table.live:
            places = [queue.popleft() for _ in range(min(len(table.free), len(queue)))]
            table.start([(*place, tasks[place[0]], place[1] == group_size) for place in places])
            table.play_turn()
            for seat in table.clear():
                ended[seat.group, seat.member] = seat.episode()
                if on_episode is not None:
                    on_episode(seat.task, seat.member, ended[seat.group, seat.member])
    finally:
        table.leave()
    groups = [
        Group(task=task, episodes=tuple(ended[group, member] for member in members)) for group, task in enumerate(tasks)
    ]
    return groups, table.stats(ended.values())


@dataclass(kw_only=True, slots=True)
class _Seat:
    """A live episode and the slot that it sits in."""

    slot: int
    group: int
    member: int
    task: str
    policy: Policy
    seed: int
    session: int | None
    greedy: bool
    frame: Frame | None = None
    turns: list[Turn] = field(default_factory=list)
    status: Status | None = None
    kind: str | None = None
    error: str = ""
    next_ids: tuple[int, ...] = ()
    waits: bool = False
    """The policy is working on its answer."""
    blocked: bool = False
    """Another agent of the same game has to act first."""
    played: tuple[Completion, Frame, str] | None = None
    """A turn whose outcome has not come yet: its completion, the frame before and the answer."""

    def episode(self) -> Episode:
        info = self.frame.info if self.frame else {}
        return Episode(
            turns=tuple(self.turns),
            status=self.status or "failed",
            success=bool(info.get(keys.SUCCESS, False)),
            score=float(info.get(keys.SCORE, info.get(keys.SUCCESS, 0.0))),
            seed=self.seed,
            kind=self.kind,
            error=self.error,
            baseline=self.greedy,
            next_ids=self.next_ids,
        )


class _Table:
    """The live episodes, and the one turn that all of them play together."""

    def __init__(
        self,
        players: Sequence[Policy],
        env: SlotEnv,
        context: Context,
        sampling: Sampling,
        seed: int,
        first_group: int,
        max_turns: int | None,
        keep_next: bool = False,
    ) -> None:
        self.players, self.env, self.context, self.sampling = players, env, context, sampling
        self.seed, self.first_group, self.max_turns, self.keep_next = seed, first_group, max_turns, keep_next
        self.free = list(range(env.num_slots))[::-1]
        self.live: list[_Seat] = []
        self._waiting: dict[tuple[int, str], _Seat] = {}
        self._sessions = 0
        self._sampled = self._read = self._cut = 0
        self._generation_s = self._environment_s = 0.0

    def start(self, episodes: Sequence[tuple[int, int, str, bool]]) -> None:
        """Seat the next episodes (group, member, task, greedy); all members of a group start with the same seed."""
        seats = []
        for group, member, task, greedy in episodes:
            seed = stream(self.seed, self.first_group + group) % 2**31
            session = None
            if self.context == "conversation":
                session, self._sessions = self._sessions, self._sessions + 1
            slot = self.free.pop()
            seats.append(
                _Seat(
                    slot=slot,
                    group=group,
                    member=member,
                    task=task,
                    policy=self.players[group],
                    seed=seed,
                    session=session,
                    greedy=greedy,
                )
            )
        self.live += seats
        began = time.perf_counter()
        columns = [seat.task for seat in seats], [seat.seed for seat in seats]
        results = each(self.env, "start", [seat.slot for seat in seats], *columns)
        self._environment_s += time.perf_counter() - began
        for seat, result in zip(seats, results, strict=True):
            self._take(seat, result)

    def play_turn(self) -> None:
        """Ask for one answer per live episode, and step the environments of those that have theirs."""
        began = time.perf_counter()
        blocked = [seat for seat in self.live if seat.blocked]
        answered = self._ask([seat for seat in self.live if not (seat.status or seat.waits or seat.blocked)])
        answers = [seat.policy.codec.decode(completion.token_ids) for seat, completion in answered]
        asked = time.perf_counter()
        self._step([seat for seat, _ in answered], [completion for _, completion in answered], answers)
        for seat in blocked:
            self._take(seat, guarded(self.env.look, [seat.slot]))  # type: ignore[attr-defined]  # who blocks has it
        if blocked and all(seat.blocked for seat in self.live):
            raise BadOptionError(f"{len(blocked)} agents wait for others that have no slot: raise the number of slots.")
        self._generation_s += asked - began
        self._environment_s += time.perf_counter() - asked

    def clear(self) -> list[_Seat]:
        """Take out the episodes that have ended, and free what they held."""
        ended = [seat for seat in self.live if seat.status is not None]
        self._leave_games([seat for seat in ended if seat.status != "finished"])
        for seat in ended:
            if self.keep_next and seat.status == "cut":
                seat.next_ids = self._next_ids(seat)
        self.live = [seat for seat in self.live if seat.status is None]
        self.free += [seat.slot for seat in ended]
        self._release(ended)
        return ended

    def leave(self) -> None:
        """Free the sessions of episodes that were interrupted, and let others have their games to the end."""
        for _, seats in _by_policy(list(self._waiting.values())):
            cast(StreamingPolicy, seats[0].policy).cancel()
        self._leave_games(self.live)
        self._release(self.live)

    def _release(self, seats: Sequence[_Seat]) -> None:
        for policy, mine in _by_policy(seats):
            policy.release([seat.session for seat in mine if seat.session is not None])

    def _leave_games(self, seats: Sequence[_Seat]) -> None:
        if hasattr(self.env, "leave"):
            self.env.leave([seat.slot for seat in seats])

    def stats(self, episodes: Collection[Episode]) -> RolloutStats:
        """Add up what was played."""
        turns = [turn for episode in episodes for turn in episode.turns]
        return RolloutStats(
            episodes=len(episodes),
            turns=len(turns),
            generated_tokens=self._sampled,
            prompt_tokens=self._read,
            wasted_tokens=self._sampled - sum(len(turn.completion.token_ids) for turn in turns),
            answers_cut=self._cut,
            generation_s=self._generation_s,
            environment_s=self._environment_s,
        )

    def _ask(self, seats: Sequence[_Seat]) -> list[tuple[_Seat, Completion]]:
        """Ask for answers to these, and return those that are ready: to all that were asked, or the first to come."""
        answered = []
        for policy, mine in _by_policy(seats):
            requests = [self._request(seat) for seat in mine]
            if not hasattr(policy, "submit"):
                answered += list(zip(mine, policy.complete(requests), strict=True))
                continue
            for seat, ticket in zip(mine, cast(StreamingPolicy, policy).submit(requests), strict=True):
                self._waiting[id(policy), ticket], seat.waits = seat, True
        for policy, _ in _by_policy(list(self._waiting.values())):
            for ticket, completion in cast(StreamingPolicy, policy).collect().items():
                seat = self._waiting.pop((id(policy), ticket))
                seat.waits = False
                answered.append((seat, completion))
        return answered

    def _request(self, seat: _Seat) -> Request:
        assert seat.frame is not None, "only seats with a frame are live"
        messages = seat.frame.info.get(keys.MESSAGES)
        if messages is None:
            raise BadOptionError(
                f"expected chat messages in info[{keys.MESSAGES!r}], got an environment that renders none: "
                "wrap it with wrappers.wrap_for_llm, or make it with wrappers.make_llm_vec."
            )
        ids = self._shown(seat, messages)
        frame = seat.frame
        if seat.policy.needs_expert:
            frame = frame._replace(info=frame.info | {EXPERT_ACTION: expert_action(self.env, seat.slot)})
        number = stream(self.seed, self.first_group + seat.group, seat.member, len(seat.turns))
        sampling = replace(self.sampling, temperature=0.0) if seat.greedy else self.sampling
        return Request(prompt_ids=ids, sampling=sampling, seed=number, session=seat.session, frame=frame)

    def _shown(self, seat: _Seat, messages: Messages) -> tuple[int, ...]:
        codec = seat.policy.codec
        if self.context == "step" or not seat.turns:
            return codec.start(messages)
        return codec.extend(messages, codec.ended(seat.turns[-1].completion.token_ids))

    def _next_ids(self, seat: _Seat) -> tuple[int, ...]:
        """What would be shown now, if the environment still says what that is and there is room for an answer."""
        messages = seat.frame.info.get(keys.MESSAGES) if seat.frame is not None else None
        if messages is None:
            return ()
        of_frame = getattr(seat.policy, "ids_of_frame", None)
        ids = self._shown(seat, messages) if of_frame is None else of_frame(seat.frame)
        before = 0
        if self.context == "conversation":
            parts = (turn.completion for turn in seat.turns)
            before = sum(len(part.prompt_ids) + len(part.token_ids) for part in parts)
        return ids if before + len(ids) < seat.policy.context_limit else ()

    def _step(self, seats: Sequence[_Seat], completions: Sequence[Completion], answers: Sequence[str]) -> None:
        stepped: list[_Seat] = []
        said: list[str] = []
        for seat, completion, answer in zip(seats, completions, answers, strict=True):
            self._sampled += len(completion.token_ids)
            self._cut += completion.finish == "length"
            if completion.finish == "overflow":
                seat.status = "cut"
                continue
            if completion.finish == "failed":
                seat.status, seat.error = "failed", completion.error
                continue
            self._read += len(completion.prompt_ids)
            before = seat.frame
            assert before is not None, "only seats with a frame are live"
            seat.played = completion, before, answer
            stepped.append(seat)
            said.append(answer)
        results = each(self.env, "step", [seat.slot for seat in stepped], said)
        for seat, result in zip(stepped, results, strict=True):
            self._take(seat, result)

    def _take(self, seat: _Seat, result: Frame | str) -> None:
        """Take in a frame, or the error that came in its place, and complete the turn that led to it."""
        seat.blocked = not isinstance(result, str) and bool(result.info.get(keys.WAITING))
        if isinstance(result, str):
            seat.status, seat.error = "failed", result
        if isinstance(result, str) or seat.blocked:
            return
        if seat.frame is None:
            seat.kind = result.info.get("task_type", result.info.get(keys.ROLE))
        seat.frame = result
        if seat.played is not None:
            completion, before, answer = seat.played
            seat.turns.append(_turn(completion, before, result, answer))
            seat.played = None
        if result.terminated:
            seat.status = "finished"
        elif result.truncated or (seat.turns and len(seat.turns) == self.max_turns):
            seat.status = "cut"


def _by_policy(seats: Sequence[_Seat]) -> list[tuple[Policy, list[_Seat]]]:
    """The policies of these seats, in the order in which they first appear, each with its seats."""
    found: dict[int, list[_Seat]] = {}
    for seat in seats:
        found.setdefault(id(seat.policy), []).append(seat)
    return [(mine[0].policy, mine) for mine in found.values()]


def _turn(completion: Completion, before: Frame, after: Frame, answer: str) -> Turn:
    return Turn(
        completion=completion,
        # The bare observation is a poor key, but the only one where an environment has none.
        state_key=str(before.info.get(keys.STATE_KEY, before.observation)),
        reward=after.reward,
        action_valid=bool(after.info.get(keys.ACTION_VALID, True)),
        format_valid=bool(after.info.get(keys.FORMAT_VALID, True)),
        observation=before.observation,
        answer=answer,
        messages=tuple(before.info[keys.MESSAGES]),
        reply=after.observation,
        info={name: value for name, value in after.info.items() if name not in _NOT_KEPT},
    )
