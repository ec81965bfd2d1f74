"""What a trainer passes around, from the smallest thing to the largest: Completion -> Turn -> Episode -> Group.

A policy *completes* a prompt; the environment's reply to that completion makes it a *turn*; the turns from reset to the
end are an *episode*; episodes of the same task from the same start are a *group*, within which credit is assigned.

    Group   task "generated_train/000000007"
      Episode  status "finished", success
        Turn     state_key "k0", reward 0.0, Completion [go to shelf 1 <eos>]       key of the state BEFORE the action
        Turn     state_key "k1", reward 1.0, Completion [take mug 1 from shelf 1 <eos>]
      Episode  status "cut", ...

Everything is frozen: a shaper that changes rewards makes new objects (`dataclasses.replace`). Token ids and
log-probabilities are kept exactly as they were sampled; nothing is ever tokenised a second time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from agent_gym import keys

Finish = Literal["stop", "length", "overflow", "failed"]
"""How a completion ended: with the end of the answer, cut off at a limit, not begun (no room for it), or not at all
(whoever was to answer did not)."""

Status = Literal["finished", "cut", "failed"]
"""How an episode ended: by the environment's own rules, by a limit on steps or context, or by an error."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """One answer of the policy, token by token."""

    prompt_ids: tuple[int, ...]
    """What the policy was shown anew: the whole prompt in step context, the new part in a conversation."""
    token_ids: tuple[int, ...]
    """Tokens the policy sampled, the end-of-answer token included where there is one."""
    logprobs: tuple[float, ...]
    """Log-probability of each sampled token (nats) under the distribution it was drawn from, temperature included."""
    finish: Finish = "stop"
    error: str = ""
    """What went wrong, in one line, where `finish` is "failed"."""
    version: int | None = None
    """Of the weights that it was sampled with, where these may be older than the learner's: iterations they had learnt
    from."""

    def __post_init__(self) -> None:
        """Refuse a completion whose tokens and log-probabilities do not pair up."""
        if len(self.token_ids) != len(self.logprobs):
            raise ValueError(
                f"expected one log-probability per sampled token, got {len(self.logprobs)} for {len(self.token_ids)} "
                "tokens: keep both as the sampler returned them"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """A completion and what the environment made of it."""

    completion: Completion
    state_key: str
    """Key of the state in which the completion was sampled, so before the action: what GiGPO compares turns by."""
    reward: float
    action_valid: bool = True
    """The environment's verdict: the command was understood and admissible."""
    format_valid: bool = True
    """The parser's verdict: the answer carried a command at all."""
    observation: str = ""
    """What the environment had said when the completion was sampled."""
    answer: str = ""
    """The completion as text, as the environment was given it."""
    messages: tuple[Mapping[str, str], ...] = ()
    """Chat messages that were rendered for this turn: the whole prompt, or what was new in a conversation."""
    reply: str = ""
    """What the environment said to the answer: the observation of the state now reached."""
    info: Mapping[str, Any] = field(default_factory=dict)
    """What else the environment told of the state now reached, as `agent_gym.keys` names it; no prompts or commands."""
    token_rewards: tuple[float, ...] | None = None
    """How `reward` is spread over the answer's tokens; none: all of it belongs to the last token. What `reward` holds
    beyond their sum belongs to the last token too."""

    def __post_init__(self) -> None:
        """Refuse rewards of tokens that are not there."""
        if self.token_rewards is not None and len(self.token_rewards) != len(self.completion.token_ids):
            raise ValueError(
                f"expected one reward per sampled token, got {len(self.token_rewards)} for "
                f"{len(self.completion.token_ids)} tokens"
            )

    @property
    def action(self) -> str:
        """The command in the answer, where a wrapper took one out of it, else the whole answer."""
        return str(self.info.get(keys.COMMAND, self.answer))

    @property
    def rewards_of_tokens(self) -> NDArray[np.float64]:
        """Reward of each sampled token, shape (tokens,); it sums to `reward` unless there are no tokens."""
        rewards = np.array(self.token_rewards or (0.0,) * len(self.completion.token_ids), dtype=np.float64)
        if len(rewards):
            rewards[-1] += self.reward - rewards.sum()
        return rewards


@dataclass(frozen=True, kw_only=True, slots=True)
class Episode:
    """The turns of one attempt, in order. An attempt that failed before its first action has none."""

    turns: tuple[Turn, ...]
    status: Status = "finished"
    success: bool = False
    score: float = 0.0
    """Between 0 and 1, as the environment reports it; not what is optimised (that is the rewards)."""
    seed: int | None = None
    kind: str | None = None
    """Type of the task, where the environment tells one."""
    error: str = ""
    """What went wrong, in one line, where the status is "failed"."""
    baseline: bool = False
    """Played greedily so that others can be compared with it; it is not learnt from."""
    next_ids: tuple[int, ...] = ()
    """What the policy would have been shown next, where a limit cut the episode off and somebody asked for it: a critic
    then says what was still to come. Empty if there was no room for it."""

    @property
    def rewards(self) -> NDArray[np.float64]:
        """Reward of each turn, shape (turns,)."""
        return np.array([turn.reward for turn in self.turns], dtype=np.float64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Attempts at one task, all from the same initial state; the unit that credit estimators are called with."""

    task: str
    episodes: tuple[Episode, ...]
    learner: str | None = ""
    """Which of the policies that learn played it: a role, or empty where there is but one; none if nobody learns."""
    player: str = ""
    """Who played it, where nobody learns from it: `expert`, an earlier self as `iteration 40`, …"""
    against: str = ""
    """Who played the other roles of its games, likewise; empty where policies in hand did."""
