"""What each metric of a run means, and in which unit it is: for the report, the docs and whoever reads `metrics.jsonl`.

A test runs some training and asks for every name that was logged; docs/metrics.md is written from here.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final, NamedTuple


class Meaning(NamedTuple):
    """Of one metric."""

    unit: str
    text: str

    def __str__(self) -> str:
        """One line, for a tooltip."""
        return f"{self.text} [{self.unit}]"


_M = Meaning
_SHARE, _COUNT, _NATS, _SECONDS = "share, 0 to 1", "count", "nats", "s"

MEANINGS: Final[Mapping[str, Meaning]] = {
    # What was played in the iteration. Failed episodes count in `failed` only.
    "rollout/episodes": _M(_COUNT, "Episodes that were played."),
    "rollout/failed": _M(_COUNT, "Episodes that ended in an error of the environment; they get no credit."),
    "rollout/turns": _M(_COUNT, "Turns, over all episodes."),
    "rollout/success": _M(_SHARE, "Episodes that solved their task."),
    "rollout/score": _M(
        "0 to 1", "Mean score of an episode: how much of its task was achieved, as the environment says."
    ),
    "rollout/return": _M("reward", "Mean over episodes of the sum of the environment's rewards, before any shaping."),
    "rollout/length": _M("turns", "Mean length of an episode."),
    "rollout/length_of_successes": _M("turns", "Mean length of the episodes that solved their task."),
    "rollout/cut": _M(_SHARE, "Episodes that a limit ended: on steps or turns, or on the model's context."),
    "rollout/invalid_actions": _M(
        _SHARE, "Turns whose command did nothing: not understood, or not possible just then."
    ),
    "rollout/invalid_format": _M(_SHARE, "Turns whose answer carried no command in the expected form."),
    "rollout/answer_tokens": _M("tokens", "Mean length of an answer."),
    "rollout/answers_cut": _M(_COUNT, "Answers that met the limit on new tokens (rollout.max_new_tokens)."),
    "rollout/generated_tokens": _M("tokens", "Tokens that the policy sampled."),
    "rollout/prompt_tokens": _M(
        "tokens", "Tokens that it read: whole prompts in step context, else only what was new."
    ),
    "rollout/wasted_tokens": _M("tokens", "Sampled tokens that ended up in no turn, after an error."),
    "rollout/cached_prompt_share": _M(_SHARE, "Prompt tokens that vLLM had in its cache already."),
    "rollout/staleness": _M("updates", "How far behind the weights that played were, mean over turns; with Ray."),
    "rollout/staleness_max": _M("updates", "The same, of the turn that was furthest behind."),
    "rollout/return_of_*": _M("reward", "The return, of one role in a game."),
    "rollout/success_of_*": _M(_SHARE, "The success, of one role in a game."),
    "rollout/length_of_*": _M("turns", "The length, of one role in a game."),
    # The evaluation of the weights that the iteration began with.
    "eval/success": _M(_SHARE, "Episodes of the evaluation's tasks that were solved."),
    "eval/success_low": _M(_SHARE, "Lower end of the 95 % interval of that."),
    "eval/success_high": _M(_SHARE, "Upper end of it."),
    "eval/success_of_*": _M(_SHARE, "Success in tasks of one type."),
    "eval/score": _M("0 to 1", "Mean score of an episode."),
    "eval/length": _M("turns", "Mean length of an episode."),
    "eval/invalid_actions": _M(_SHARE, "Turns whose command the environment did not accept."),
    "eval/failed": _M(_COUNT, "Episodes that ended in an error; they count as not solved."),
    # What credit assignment had to work with.
    "credit/advantage_abs": _M("advantage", "Mean size of a turn's advantage, whatever its sign."),
    "credit/advantage_episode_abs": _M("advantage", "Mean size of its part from comparing episodes of a group."),
    "credit/advantage_step_abs": _M("advantage", "Mean size of its part from comparing turns in the same state."),
    "credit/step_to_episode": _M("ratio", "advantage_step_abs / advantage_episode_abs: how much GiGPO adds to GRPO."),
    "credit/silent_groups": _M(
        _SHARE, "Groups in which every advantage is zero, as where all failed alike: they teach nothing."
    ),
    "credit/anchor_size_mean": _M(
        "turns", "Mean number of turns that a group took in the same state (its anchor state); 1: none compare."
    ),
    "credit/anchor_size_max": _M("turns", "Most turns that a group took in the same state."),
    "credit/shared_turns": _M(
        _SHARE, "Turns whose state some other turn of the group was taken in: those that GiGPO can compare."
    ),
    # The update of the weights. A mean is over the tokens of answers, in all optimiser steps.
    "learner/loss": _M("loss", "What was minimised: policy_loss with the pull to the reference and the entropy bonus."),
    "learner/policy_loss": _M(
        "loss", "The part of the loss that advantages make; near 0 in the first step, which says nothing."
    ),
    "learner/kl": _M(_NATS, "Mean divergence from the reference model, the one that training began with."),
    "learner/old_kl": _M(_NATS, "Mean divergence from the policy before this update; 0 with one optimiser step."),
    "learner/entropy": _M(_NATS, "Mean entropy of the next token: 0 for a policy that is sure of itself."),
    "learner/clip_fraction": _M(_SHARE, "Tokens that the clip of the loss kept from being pushed further."),
    "learner/ratio_max": _M("ratio", "Largest probability of a token, divided by that before this update."),
    "learner/sampler_difference": _M(
        _NATS, "Mean difference of a token's log-probability between learner and sampler, same weights: rounding."
    ),
    "learner/sampler_difference_max": _M(_NATS, "Largest such difference."),
    "learner/importance_weight": _M("ratio", "Mean weight that corrects for that difference; 1 where they agree."),
    "learner/importance_capped": _M(_SHARE, "Tokens whose weight met the cap (loss.importance_cap)."),
    "learner/grad_norm": _M("norm", "Norm of the gradient before it was scaled down, mean over optimiser steps."),
    "learner/learning_rate": _M("rate", "Learning rate of the last optimiser step."),
    "learner/steps": _M(_COUNT, "Optimiser steps."),
    "learner/micro_batches": _M(_COUNT, "Forward passes that the samples were cut into."),
    "learner/samples": _M(_COUNT, "Samples learnt from, each once per epoch: turns in step context, else episodes."),
    "learner/action_tokens": _M("tokens", "Tokens of answers, which the loss is about."),
    "learner/tokens": _M("tokens", "Tokens that went through the model, without padding."),
    "learner/padding": _M(_SHARE, "Padding, of all that went through the model."),
    # The estimate of what is still to come, where credit assignment has one.
    "critic/loss": _M("loss", "What the critic minimised, mean over its optimiser steps."),
    "critic/clip_fraction": _M(_SHARE, "Values that had moved as far as an update may move them (critic.value_clip)."),
    "critic/grad_norm": _M("norm", "Norm of its gradient before it was scaled down."),
    "critic/value": _M("reward", "Mean value that it gave."),
    "critic/target": _M("reward", "Mean value that it was to give."),
    "critic/explained_variance": _M(
        "1 at most", "1 - Var(target - value) / Var(target): 1 is perfect, 0 no better than a constant."
    ),
    "critic/q": _M("reward", "Mean value of an action (ArCHer)."),
    "critic/v": _M("reward", "Mean value of a state (ArCHer)."),
    "critic/q_loss": _M("loss", "Loss of the values of actions (ArCHer)."),
    "critic/v_loss": _M("loss", "Loss of the values of states (ArCHer)."),
    "critic/turns": _M(_COUNT, "Turns that it keeps to learn from (ArCHer)."),
    # What is on only where a setting asks for it.
    "sampling/tries": _M(_COUNT, "Times that groups were played in this iteration (dynamic_sampling)."),
    "sampling/dropped_groups": _M(_COUNT, "Groups that were dropped since their returns were all equal."),
    "replay/replayed": _M(_COUNT, "Episodes of earlier iterations that were learnt from again (replay)."),
    "replay/stored": _M(_COUNT, "Successes that are kept to be replayed."),
    "shaping/*/loss": _M("loss", "Last loss of what this shaper learns."),
    "shaping/*/episodes": _M(_COUNT, "Episodes that this shaper learns from."),
    "shaping/*/explained": _M(
        "1 at most", "Share of the variance of returns or scores that this shaper explains; 0 is a constant's."
    ),
    "shaping/*/states": _M(_COUNT, "States that this shaper has seen."),
    "shaping/*/largest_reward": _M("reward", "Largest reward that this shaper has learnt, whatever its sign."),
    "shaping/*/steps_failed": _M(_COUNT, "Steps that the written code gave nothing usable for, since the start."),
    "shaping/*/batches_failed": _M(_COUNT, "Calls of the written code that gave nothing usable, since the start."),
    "judge/asked": _M(_COUNT, "Questions to the judge in this iteration."),
    "judge/unparsable": _M(_COUNT, "Answers of the judge without what was asked for."),
    "judge/failed": _M(_COUNT, "Questions that it did not answer."),
    "judge/requests": _M(_COUNT, "Requests to the server of the judge."),
    "judge/retried": _M(_COUNT, "Requests that were repeated."),
    "judge/timeouts": _M(_COUNT, "Requests whose time was up."),
    "judge/cached": _M(_COUNT, "Answers that were known already."),
    "players/groups_against_*": _M(_COUNT, "Groups of a game played against self, earlier selves, or others."),
    "players/return_of_*": _M("reward", "Mean return of a role against one of those."),
    "players/age_of_earlier": _M("iterations", "Mean age of the earlier selves that were met."),
    # The machine. These differ from run to run.
    "time/iteration_s": _M(_SECONDS, "The whole iteration, with the evaluation that it may have begun with."),
    "time/generation_s": _M(_SECONDS, "Waiting for the policy's answers."),
    "time/environment_s": _M(_SECONDS, "Waiting for the environments."),
    "time/learning_s": _M(_SECONDS, "The update of the weights, a critic's included."),
    "time/sync_s": _M(_SECONDS, "Handing the new weights to what samples."),
    "time/generation_share": _M(_SHARE, "generation_s / iteration_s."),
    "time/environment_share": _M(_SHARE, "environment_s / iteration_s."),
    "time/learning_share": _M(_SHARE, "learning_s / iteration_s."),
    "time/waiting_s": _M(_SECONDS, "Waiting for the rollout workers; with Ray."),
    "time/loading_s": _M(_SECONDS, "Loading of weights by a rollout worker, mean; with Ray."),
    "time/playing_cpu_s": _M(_SECONDS, "Processor time of the rollout worker that took most; with Ray."),
    "speed/generated_tokens_per_s": _M("tokens/s", "Sampled tokens, per second of generation."),
    "speed/env_steps_per_s": _M("turns/s", "Turns, per second of the environments."),
    "speed/learnt_tokens_per_s": _M("tokens/s", "Tokens through the model, per second of learning."),
    "speed/tokens_per_s": _M("tokens/s", "Sampled and read tokens, per second of the whole iteration."),
    "memory/peak_mb": _M("MiB", "Most memory that the process has had since its start; of several, the largest."),
    "memory/gpu_peak_mb": _M("MiB", "Most memory of its GPU that torch has had."),
    "ray/replaced_workers": _M(_COUNT, "Rollout workers that were replaced since the start."),
    # Imitation, `agent-gym sft`, where a line is a pass; the others of `sft/` are those of `learner/`.
    "sft/loss": _M(
        "nats per token", "Minus the log-probability of the demonstrated tokens, mean over optimiser steps."
    ),
}
"""By name; `*` stands for any part of one. The first that fits counts."""

_BY_ROLE = ("learner", "critic")
"""Families whose names have the role in the middle where each role of a game has its own weights."""


def meaning_of(name: str) -> Meaning | None:
    """Return what a metric means; None for one that is explained nowhere.

    `learner/ROLE/kl` means what `learner/kl` does; and `sft/steps`, like all of `sft/` but its loss, `learner/steps`.
    """
    family, _, rest = name.partition("/")
    if family in _BY_ROLE and rest.count("/") == 1:
        name = f"{family}/{rest.partition('/')[2]}"
    elif family == "sft" and name not in MEANINGS:
        name = f"learner/{rest}"
    fits = (found for pattern, found in MEANINGS.items() if "*" in pattern and fnmatchcase(name, pattern))
    return MEANINGS.get(name) or next(fits, None)


def meanings_table() -> str:
    """Return all of them as the table of docs/metrics.md."""
    rows = [f"| `{name}` | {one.unit} | {one.text} |" for name, one in MEANINGS.items()]
    return "\n".join(["| metric | unit | meaning |", "|---|---|---|", *rows])
