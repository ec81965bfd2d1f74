"""Our environments in verl's agent loop: an episode in conversation context is a row of verl's batch.

Which environments there are is said in a file of verl's own kind, by the function that makes them for the trainer here
(`actor_rollout_ref.rollout.agent.agent_loop_config_path`); each of verl's workers registers what it finds there:

    - name: alfworld
      _target_: trainers.verl_loop.EnvironmentLoop
      _convert_: all
      answer_tokens: 256
      make_envs:
        _target_: wrappers.make_llm_vec
        _partial_: true
        env_id: AgentGym/ALFWorld-v0

The rows of a data set name one of them and a task, see `rows`. Tokens are kept as they were sampled, and what stands
between them is made by verl, as for its own loops. A row's score is the sum of its rewards; the rewards of its turns
come back in the batch as `turn_scores`, and the states that these were taken in as `states`, which is what
`trainers.verl_adapter.advantages` wants to know for estimators that compare states.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

import gymnasium as gym

import agent_gym  # noqa: F401  registers the ids
from agent_gym import Frame, SlotEnv, keys
from agent_gym.errors import AgentGymError, MissingExtraError
from trainers.stepping import each
from trainers.types import Status

try:
    from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopOutput
    from verl.utils.profiler import simple_timer
except ImportError as error:
    raise MissingExtraError(f"verl's agent loop needs verl: pip install 'agent-gym[verl]' ({error}).") from error

T = TypeVar("T")

_ONE_BY_ONE = ThreadPoolExecutor(max_workers=1)
"""Environments work beside the event loop, and never two at once: not all of them could."""


def rows(env_id: str, agent_name: str, split: str, *, seed: int = 0, **settings: Any) -> list[dict[str, Any]]:
    """A data set for verl: one row for each task of a split, to be written as parquet or JSON lines.

    Args:
        env_id: A registered id.
        agent_name: The loop's name in the file that `agent_loop_config_path` names.
        split: Whose tasks.
        seed: Of the first row; each has a start of its own, which all repetitions of the row share.
        **settings: Of the environment, where its tasks depend on them.
    """
    env = gym.make(env_id, disable_env_checker=True, **settings)
    tasks = env.unwrapped.tasks(split)  # type: ignore[attr-defined]  # of every environment here
    env.close()
    return [
        {
            "data_source": env_id,
            "agent_name": agent_name,
            "prompt": [{"role": "user", "content": task}],  # verl wants one; the environment has the real one
            "extra_info": {"index": index, "task": task, "seed": seed + index},
        }
        for index, task in enumerate(tasks)
    ]


@dataclass(kw_only=True, slots=True)
class _Row:
    """What has been said so far: the tokens after the prompt have a mask, and log-probabilities if the server tells."""

    ids: list[int]
    messages: list[dict[str, str]]
    mask: list[int] = field(default_factory=list)
    logprobs: list[float] | None = None
    states: list[str] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    status: Status = "cut"
    metrics: dict[str, Any] = field(default_factory=dict)
    of_server: dict[str, Any] = field(default_factory=dict)


class EnvironmentLoop(AgentLoopBase):  # type: ignore[misc]  # verl is published without types
    """Plays one episode with verl's server of the policy.

    An episode ends with the environment, or is cut where the row is full; an answer that meets the end of the row is
    played as far as it goes. An error in the environment ends it as failed, with what it has earned so far.

    Args:
        make_envs: Called with `num_envs=1` and `context="conversation"`; `wrappers.make_llm_vec` with all else given.
        answer_tokens: Most tokens of an answer; by default the row's length is the only limit.
        max_turns: Limit on an episode's turns beside the environment's own.
        *args: verl's.
        **kwargs: verl's.
    """

    def __init__(
        self,
        *args: Any,
        make_envs: Callable[..., Any],
        answer_tokens: int | None = None,
        max_turns: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._make_envs, self._answer_tokens, self._max_turns = make_envs, answer_tokens, max_turns
        self._room: int = self.rollout_config.response_length

    async def run(self, sampling_params: dict[str, Any], **kwargs: Any) -> Any:
        """Play the task that the row names.

        Raises:
            AgentGymError: If the episode can't even begin.
        """
        envs = await self._beside(partial(self._make_envs, num_envs=1, context="conversation"))
        try:
            return self._output(*await self._play(envs.slots, sampling_params, kwargs))
        finally:
            await self._beside(envs.close)

    async def _play(self, env: SlotEnv, sampling_params: dict[str, Any], given: dict[str, Any]) -> tuple[_Row, Frame]:
        asked = given["extra_info"]
        frame = (await self._beside(partial(each, env, "start", [0], [asked["task"]], [int(asked["seed"])])))[0]
        if isinstance(frame, str):
            raise AgentGymError(f"task {asked['task']!r} could not be started: {frame}")
        messages = [dict(message) for message in frame.info[keys.MESSAGES]]
        row = _Row(ids=await self.ct_build_initial_tokens(messages), messages=messages)
        determined = getattr(self.rollout_config, "full_determinism", False)
        request = f"det-{given.get('priority', 0)}" if determined else uuid4().hex
        while True:
            answer = await self._answer(row, request, sampling_params)
            row.states.append(str(frame.info.get(keys.STATE_KEY, frame.observation)))
            with simple_timer("tool_calls", row.metrics):
                result = (await self._beside(partial(each, env, "step", [0], [answer])))[0]
            if isinstance(result, str):
                row.rewards.append(0.0)
                row.status = "failed"
                break
            frame = result
            row.rewards.append(frame.reward)
            if frame.terminated:
                row.status = "finished"
                break
            if frame.truncated or len(row.rewards) == self._max_turns or not await self._show(row, answer, frame):
                break
        return row, frame

    async def _answer(self, row: _Row, request: str, sampling_params: dict[str, Any]) -> str:
        """Have the server go on with the row, and return what it said."""
        room = min(self._room - len(row.mask), self._answer_tokens or self._room)
        with simple_timer("generate_sequences", row.metrics):
            output = await self.server_manager.generate(
                request_id=request, prompt_ids=row.ids, sampling_params={**sampling_params, "max_tokens": room}
            )
        ids, logprobs = output.token_ids[:room], output.log_probs[:room] if output.log_probs else None
        if not row.rewards:
            row.logprobs = None if logprobs is None else []
        merged, row.mask, row.logprobs = await self.ct_merge_assistant_token(
            row.ids, ids, row.mask, row.logprobs, assistant_logprobs=logprobs
        )
        row.ids = merged.token_ids
        preempted = -1 if output.num_preempted is None else output.num_preempted
        row.metrics["num_preempted"] = max(row.metrics.get("num_preempted", -1), preempted)
        # Which weights have answered: verl wants the first and the last.
        row.of_server |= {
            name: value
            for name, value in output.extra_fields.items()
            if name == "max_global_steps" or name not in row.of_server
        }
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    async def _show(self, row: _Row, answer: str, frame: Frame) -> bool:
        """Add what the environment says next, if it leaves room for an answer; returns whether it does."""
        said = [*row.messages, {"role": "assistant", "content": answer}]
        longer = [*said, *(dict(message) for message in frame.info[keys.MESSAGES])]
        merged, mask, logprobs = await self.ct_merge_context_msg(said, longer, row.ids, row.mask, row.logprobs)
        if len(mask) >= self._room:
            return False
        row.ids, row.mask, row.logprobs, row.messages = merged.token_ids, mask, logprobs, longer
        return True

    def _output(self, row: _Row, last: Frame) -> Any:
        start = len(row.ids) - len(row.mask)
        success = float(last.info.get(keys.SUCCESS, False))
        return AgentLoopOutput(
            prompt_ids=row.ids[:start],
            response_ids=row.ids[start:],
            response_mask=row.mask,
            response_logprobs=row.logprobs,
            reward_score=sum(row.rewards),
            num_turns=2 * len(row.rewards) + 1,
            metrics=row.metrics,
            extra_fields={
                **row.of_server,
                "states": row.states,
                "turn_scores": row.rewards,
                "tool_rewards": [],
                "status": row.status,
                "reward_extra_info": {"success": success, "score": float(last.info.get(keys.SCORE, success))},
            },
        )

    async def _beside(self, call: Callable[[], T]) -> T:
        done: T = await self.loop.run_in_executor(_ONE_BY_ONE, call)
        return done
