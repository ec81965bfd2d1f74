"""Names of the entries of `info`, shared by environments, wrappers and trainers.

After a step, `ACTION_VALID` and `FORMAT_VALID` describe the action just taken; `STATE_KEY`, `ADMISSIBLE_ACTIONS` and
`MESSAGES` describe the state now reached.
"""

from __future__ import annotations

from typing import Final

STATE_KEY: Final = "state_key"
"""Short canonical string of the complete state: equal keys imply equal futures under the same actions.

Where there is chance: equal distributions of futures, and equal futures if `np_random` is in the same state too. That
state is no part of the key."""

ADMISSIBLE_ACTIONS: Final = "admissible_actions"
"""Tuple of the commands that do something in this state, sorted."""

COMMAND_FORMS: Final = "command_forms"
"""Tuple of how the commands of this state are worded, where there are more of them than `ADMISSIBLE_ACTIONS` can list:
a form such as `search[<your query>]` stands for any query."""

ACTION_VALID: Final = "action_valid"
"""Whether the environment understood the last command and it was admissible. True after `reset`."""

SUCCESS: Final = "success"
"""Whether the task is solved."""

SCORE: Final = "score"
"""Graded result between 0 and 1, 1 exactly when solved."""

TASK: Final = "task"
"""Id of the task being played; it can be passed to `reset(options={"task": …})`."""

SPLIT: Final = "split"
"""Split that the task belongs to."""

SOURCE: Final = "source"
"""Where the task comes from, such as `"published"` or `"generated"`."""

ROLE: Final = "role"
"""Whose part the agent plays in a game of several; what is averaged over roles makes no sense in a zero-sum game."""

WAITING: Final = "waiting"
"""True in a frame of a slot whose agent has nothing to do before another has acted; such a frame has no other entry."""

SUBGOALS: Final = "subgoals"
"""Tuple of the names of the subgoals reached so far in this episode, where an environment tells them."""

SPECIFICATION: Final = "specification"
"""The task as formulas in temporal logic over the names in `SUBGOALS`, where an environment has it so: a tuple of
levels, the top one first, each a dict from name to formula (`agent_gym.ltl.task`)."""

PROCESS_SCORE: Final = "process_score"
"""How good the last action was by the environment's own measure of progress, 0 to 1, where it tells one."""

DEADLOCKED: Final = "deadlocked"
"""True if a glance tells that the task can't be solved any more, where an environment looks; False is no promise."""

REGRET: Final = "regret"
"""Expected reward lost so far against the best constant action, where an environment tells it."""

FORMAT_VALID: Final = "format_valid"
"""Written by `ParseAction`: whether the last answer carried a command in the expected form. True after `reset`."""

COMMAND: Final = "command"
"""Written by `ParseAction`: the command in the last answer, "" for none; absent after `reset`."""

MESSAGES: Final = "messages"
"""Written by `RenderPrompt`: chat messages; the whole prompt (step context) or only what is new (conversation
context)."""

ALIASES: Final = {
    ADMISSIBLE_ACTIONS: "admissible_commands",
    SUCCESS: "won",
}
"""Names under which TextWorld and ALFWorld users expect the same values; environments offer both."""
