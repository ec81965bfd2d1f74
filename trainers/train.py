"""The training loop. `Trainer.train` reads top to bottom; each phase is one method below it.

    play      groups of episodes, every group's from the same start            trainers.rollout
    assign    shaped rewards, and an advantage for every turn                  trainers.assign, shaping, credit
    learn     turns to tokens, tokens to a step of the weights                 trainers.samples, learner
    log       metrics and episodes                                             trainers.metrics
    evaluate  on validation tasks that are never trained on                    trainers.evaluate
    save      everything that is needed to go on exactly                       trainers.checkpoint

All that is drawn is a function of the seed, the iteration and a place in it, never of what was drawn before: so the
position is all that resuming has to know, and any number of ranks plays the same episodes.

Under `torchrun` each rank plays its share of the groups; then every rank knows all episodes, assigns the same credit,
and learns from its share of the samples.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from agent_gym import SlotEnv
from agent_gym.errors import AgentGymError, BadOptionError
from trainers.assign import Credited, Shaper, assign_batch
from trainers.callbacks import TrainControl, TrainerCallback, TrainState
from trainers.checkpoint import State, checkpoint_bytes, load_latest, load_weights, require_space, save
from trainers.config import TrainConfig, to_toml
from trainers.evaluate import SUMMARY, Evaluation, evaluate, summarise, summary
from trainers.interrupt import Interruption
from trainers.learner import Learner
from trainers.metrics import RunLog, credit_metrics, episode_lines, rollout_metrics, speed_metrics
from trainers.parallel import Ranks, limit_threads
from trainers.policies.base import Policy, Sampling
from trainers.rollout import RolloutStats, play, stream
from trainers.run_files import CONFIG, written_whole
from trainers.samples import build_samples
from trainers.shaping import PenaliseInvalid, ScaleRewards
from trainers.tasks import TaskOrder, spread
from trainers.types import Group

CHECKPOINTS = "checkpoints"
SMALL_MODEL = 100_000_000
"""Weights below which a checkpoint costs little beside an iteration, so that every iteration is saved."""


class TrainablePolicy(Policy, Protocol):
    """A policy whose weights can be trained in place."""

    model: nn.Module
    tokenizer: Any


class Trainer:
    """Trains a policy in an environment.

    Example:
        config = TrainConfig(env=EnvConfig(id="AgentGym/ALFWorld-v0"), output_dir="runs/a")
        env = make_llm_vec(config.env.id, config.env.num_envs, context=config.env.context)
        Trainer(config, env=env, policy=load_policy("./my-qwen")).train()

    Args:
        config: Everything else.
        env: Environments that render prompts for `config.env.context`: a `TextVectorEnv`, or slots.
        policy: Answers the prompts, and is trained in place.
        callbacks: Told of every event.
        resume: Go on from the last checkpoint in the output directory, if there is one.
    """

    def __init__(
        self,
        config: TrainConfig,
        *,
        env: Any,
        policy: TrainablePolicy,
        callbacks: Sequence[TrainerCallback] = (),
        resume: bool = False,
    ) -> None:
        limit_threads()
        self.config = config
        self.directory = Path(config.output_dir)
        self.ranks = Ranks.from_environment()
        self.policy = policy
        self.env, self.train_tasks, self.eval_tasks = choose_tasks(config, env)
        self.callbacks = list(callbacks)
        self.control = TrainControl()
        self.state = TrainState()
        self.sampling = Sampling(
            temperature=config.rollout.temperature,
            max_new_tokens=config.rollout.max_new_tokens,
            stop=config.rollout.stop,
        )
        self.shapers: list[Shaper] = [
            ScaleRewards(factor=config.reward.scale),
            PenaliseInvalid(amount=config.reward.invalid_penalty, charge=config.reward.penalise),
        ]
        if config.env.context == "conversation":
            policy.codec.check_prefix()
        self._check_directory(resume)
        self.learner = Learner(
            policy.model,
            config.learner,
            config.loss,
            temperature=config.rollout.temperature,
            total_updates=config.iterations,
            ranks=self.ranks,
            seed=config.seed,
            keep_reference=getattr(config.credit, "needs_reference", False),
        )
        weights = sum(parameter.numel() for parameter in policy.model.parameters())
        self.save_steps = config.output.save_steps or (1 if weights < SMALL_MODEL else 10)
        self._saved_at: int | None = None
        if resume:
            self._resume()

    # -- the loop ------------------------------------------------------------------------------------------------------

    def train(self) -> TrainState:
        """Run the iterations that are left, and return where the run stands; Ctrl-C ends it after saving."""
        config = self.config
        self._begin()
        with Interruption() as interruption:
            try:
                while self.state.iteration < config.iterations and not self._asked("should_training_stop"):
                    began = time.perf_counter()
                    self._emit("on_step_begin")

                    if self._evaluation_is_due() and self._evaluate(interruption):
                        self._save(best=True)
                    groups, stats = self._play(interruption)
                    credited = assign_batch(
                        config.credit, groups, self.shapers, config.env.context, self.learner.reference_logprobs
                    )
                    self._emit("on_rollout", credited=credited)
                    learnt = self._learn(credited)
                    self._log(credited, stats, learnt, time.perf_counter() - began)
                    self._emit("on_step_end")

                    if self._save_is_due() or self.ranks.any(interruption.requested):
                        self._save(best=False)
                best = not self.state.evaluation and self._evaluate(interruption)
                if best or self._saved_at != self.state.iteration:
                    self._save(best=best)
            except KeyboardInterrupt:
                if interruption.forced:
                    raise
                self.interrupted = True
                if self._saved_at != self.state.iteration:
                    self._save(best=False)
        self._end()
        return self.state

    # -- play ----------------------------------------------------------------------------------------------------------

    def _play(self, interruption: Interruption) -> tuple[list[Group], RolloutStats]:
        """Play this iteration's groups: each rank its share, and then all of them know all.

        Raises:
            KeyboardInterrupt: On all ranks, if one was interrupted. What is lost is played again on resuming.
            AgentGymError: If not one episode could be played.
        """
        settings = self.config.rollout
        tasks = self.train_tasks.take(self.state.iteration * settings.groups, settings.groups)
        if not self._eval_set.isdisjoint(tasks):
            raise BadOptionError("expected training tasks that are not evaluated on, got some that are in both splits.")
        mine = self.ranks.stretch(len(tasks))
        groups, stats = self._gather(
            interruption,
            lambda: play(
                self.policy,
                self.env,
                tasks[mine.start : mine.stop],
                group_size=settings.group_size,
                sampling=self.sampling,
                context=self.config.env.context,
                seed=stream(self.config.seed, self.state.iteration),
                first_group=mine.start,
                max_turns=settings.max_turns,
                baseline=getattr(self.config.credit, "needs_baseline", False),
            ),
        )
        errors = [episode.error for group in groups for episode in group.episodes if episode.status == "failed"]
        if len(errors) == sum(len(group.episodes) for group in groups):
            raise AgentGymError(f"all episodes of iteration {self.state.iteration} failed, the first with: {errors[0]}")
        return groups, stats

    # -- learn ---------------------------------------------------------------------------------------------------------

    def _learn(self, credited: Sequence[Credited]) -> dict[str, float]:
        """Turn credited episodes into samples, and move the weights; each rank learns from its share."""
        samples = build_samples(
            [one.group for one in credited], [one.learnt for one in credited], self.config.env.context
        )
        # Dealt out by length, so that no rank gets all the long ones.
        samples.sort(key=lambda sample: (-len(sample), sample.key))
        return self.learner.update(self.ranks.share(samples))

    # -- log -----------------------------------------------------------------------------------------------------------

    def _log(self, credited: Sequence[Credited], stats: RolloutStats, learnt: dict[str, float], seconds: float) -> None:
        """Write the iteration's episodes and metrics, led by the evaluation of the weights that played it."""
        played = [one.played for one in credited]
        learning_s = learnt.pop("seconds")
        metrics = {
            **self.state.evaluation,
            **rollout_metrics(played, stats),
            **credit_metrics(credited),
            **{f"learner/{name}": value for name, value in learnt.items()},
            **speed_metrics(stats, learning_s, learnt.get("tokens", 0.0), seconds),
        }
        # Of the rank that takes most.
        metrics |= self.ranks.maxima({name: value for name, value in metrics.items() if name.startswith("memory/")})
        if self.ranks.is_main:
            if self.config.output.episodes:
                self.log.log_episodes(episode_lines(self.state.iteration, credited))
            self.log.log(self.state.iteration, metrics)
        self._emit("on_log", logs=metrics)
        self.state.iteration += 1
        self.state.episodes += stats.episodes
        self.state.generated_tokens += stats.generated_tokens
        self.state.evaluation = {}

    # -- evaluate ------------------------------------------------------------------------------------------------------

    def _evaluate(self, interruption: Interruption) -> bool:
        """Evaluate the weights in hand on the validation tasks; returns whether they are the best so far."""
        if not self.eval_tasks:
            return False
        mine = self.ranks.stretch(len(self.eval_tasks))

        def evaluate_mine() -> tuple[list[Group], RolloutStats]:
            if not mine:
                return [], RolloutStats()
            return evaluate(
                self.policy,
                self.env,
                self.eval_tasks[mine.start : mine.stop],
                context=self.config.env.context,
                sampling=replace(self.sampling, temperature=self.config.evaluation.temperature),
                seed=stream(self.config.seed, -1),
                first_group=mine.start,
            )

        groups, _ = self._gather(interruption, evaluate_mine)
        result = summarise(groups)
        best = self.state.best_success is None or result.all.success > self.state.best_success
        if best:
            self.state.best_success, self.state.best_iteration = result.all.success, self.state.iteration
            self._write_summary(result)
        self.state.evaluation = result.metrics()
        self._emit("on_evaluate", metrics=self.state.evaluation, best=best)
        return best

    def _write_summary(self, result: Evaluation) -> None:
        """Write the evaluation of the best weights; its tasks chose them, so it is no result to report."""
        if not self.ranks.is_main:
            return
        about = {
            "env": {"id": self.config.env.id, "context": self.config.env.context, **self.config.env.settings},
            "split": self.config.evaluation.split,
            "model": {"iteration": self.state.iteration},
            "sampling": {"temperature": self.config.evaluation.temperature},
            "chosen_on_these_tasks": True,
        }
        with written_whole(self.directory / SUMMARY) as file:
            json.dump(summary(result, about), file, indent=1)

    # -- save and resume -----------------------------------------------------------------------------------------------

    def _save(self, *, best: bool) -> None:
        """Write a checkpoint of the weights in hand; rank 0 does, and the others wait."""
        learner = self.learner.state()
        if self.ranks.is_main:
            path = save(
                self.directory / CHECKPOINTS,
                self.state.iteration,
                State(tensors=learner.tensors, values={"learner": learner.values, "trainer": asdict(self.state)}),
                model=self.policy.model,  # type: ignore[arg-type]  # transformers and peft models save themselves
                tokenizer=self.policy.tokenizer,
                keep=self.config.output.keep,
                best=best,
            )
            self._emit("on_save", path=path)
        self.ranks.wait()
        self._saved_at = self.state.iteration

    def _resume(self) -> None:
        """Take up the last checkpoint that is whole; without one the run starts at the beginning."""
        checkpoint = load_latest(self.directory / CHECKPOINTS)
        if checkpoint is None:
            return
        values = checkpoint.state.values
        load_weights(self.policy.model, checkpoint.path)
        self.learner.load_state(State(tensors=checkpoint.state.tensors, values=values["learner"]))
        self.state = TrainState(**values["trainer"])
        self._saved_at = self.state.iteration

    def _check_directory(self, resume: bool) -> None:
        """Refuse to mix two runs in one directory, and a disk that is too small, before anything is trained.

        Raises:
            BadOptionError: If there is a run in the directory already.
            OSError: If there is too little space.
        """
        if not resume and (self.directory / CONFIG).exists():
            raise BadOptionError(
                f"{str(self.directory)!r} holds a run already: go on with it (--resume {self.directory}), or name "
                "another output directory."
            )
        require_space(self.directory, checkpoint_bytes(self.policy.model, self.config.output.keep))

    # -- beginning, end, and what phases share -------------------------------------------------------------------------

    def _begin(self) -> None:
        self.interrupted = False
        if self.ranks.is_main:
            report_to = self.config.output.report_to
            self.log = RunLog(self.directory, report_to, start=self.state.iteration, config=asdict(self.config))
            with written_whole(self.directory / CONFIG) as file:
                file.write(to_toml(self.config))
        self._eval_set = frozenset(self.eval_tasks)
        self._emit("on_train_begin")

    def _end(self) -> None:
        if self.ranks.is_main:
            if self.state.evaluation and not self.interrupted:
                self.log.log(self.state.iteration, self.state.evaluation)
            self.log.close()
        self._emit("on_train_end", interrupted=self.interrupted)

    def _evaluation_is_due(self) -> bool:
        """Whether the weights in hand are to be evaluated, before they play, and have not been."""
        due = self._asked("should_evaluate") or self.state.iteration % self.config.evaluation.every == 0
        return due and not self.state.evaluation

    def _save_is_due(self) -> bool:
        return self._asked("should_save") or self.state.iteration % self.save_steps == 0

    def _asked(self, request: str) -> bool:
        """Whether a callback has asked for it, on any rank; a request is granted once, but for the end of the run."""
        asked = self.ranks.any(getattr(self.control, request))
        setattr(self.control, request, asked and request == "should_training_stop")
        return asked

    def _gather(
        self, interruption: Interruption, mine: Callable[[], tuple[list[Group], RolloutStats]]
    ) -> tuple[list[Group], RolloutStats]:
        """All ranks' groups in order, and what they cost together; of seconds the mean, as ranks work side by side.

        Ctrl-C may end what is done here by each for itself, but not what they do together: one that was interrupted
        tells the others, and all are.
        """
        part = None
        try:
            with interruption.allowed():
                part = mine()
        except KeyboardInterrupt:
            if interruption.forced:
                raise
        parts = [theirs for theirs in self.ranks.gather(part) if theirs is not None]
        if len(parts) < self.ranks.size:
            raise KeyboardInterrupt
        total = sum((theirs for _, theirs in parts), RolloutStats())
        return [group for theirs, _ in parts for group in theirs], total.side_by_side(self.ranks.size)

    def _emit(self, event: str, **details: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self.config, self.state, self.control, is_main=self.ranks.is_main, **details)


def choose_tasks(config: TrainConfig, env: Any) -> tuple[SlotEnv, TaskOrder, list[str]]:
    """Return the slots of an environment, the order of its training tasks, and the tasks to evaluate on.

    Raises:
        BadOptionError: If the environment renders prompts for another context, or the two splits are the same.
        UnknownSplitError: If a split does not exist.
    """
    slots: SlotEnv = getattr(env, "slots", env)
    first = getattr(slots, "envs", [env])[0]
    context = getattr(first, "metadata", {}).get("context")
    if context is not None and context != config.env.context:
        raise BadOptionError(
            f"expected an environment that renders prompts for context {config.env.context!r}, as the configuration "
            f"says, got one for {context!r}: make it with context={config.env.context!r}."
        )
    split = config.env.split or str(getattr(getattr(first, "unwrapped", None), "split", ""))
    if not split:
        raise BadOptionError("env.split must name the split to train on: this environment does not tell one.")
    if split == config.evaluation.split:
        raise BadOptionError(f"evaluation.split must differ from the split that is trained on, got {split!r} for both.")
    validation = (
        spread(slots.tasks(config.evaluation.split), config.evaluation.tasks) if config.evaluation.split else []
    )
    return slots, TaskOrder(slots.tasks(split), config.seed), validation
