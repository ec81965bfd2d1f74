"""Episodes in verl's own workers, of a small model that really answers; `make test-verl` runs this.

The model is taught one way through KeyDoor by heart, with the learner here, and then plays it in verl's agent loop.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from agent_gym import keys
from agent_gym.errors import UnknownTaskError
from trainers.credit import Gigpo
from trainers.learner import Learner
from trainers.policies.base import Request, Sampling
from trainers.policies.hf import HfPolicy
from trainers.policies.tiny import TinySettings, train_tokenizer
from trainers.rollout import play
from trainers.samples import build_samples
from trainers.settings import LearnerSettings
from trainers.sft import Demonstrator, demonstrate
from trainers.verl_adapter import advantages, rewards_of_turns
from wrappers import make_llm_vec

pytest.importorskip("verl", reason="needs verl: `make test-verl` runs it")

ENV = "AgentGym/KeyDoor-v0"
PROMPT, RESPONSE = 512, 1024


class Server:
    """Answers as verl's client does, with a model: `HfPolicy` on the whole row.

    Rows are played at once, and which asks first is a matter of time. The seed of an answer is therefore how often the
    same was asked before: rows that have come to the same are one like the other, so what is played has no order.
    """

    def __init__(self, policy: HfPolicy) -> None:
        self.policy = policy
        self.answers = 0
        self.asked: Counter[tuple[int, ...]] = Counter()

    async def generate(self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any]) -> Any:
        from verl.workers.rollout.replica import TokenOutput

        prompt = tuple(prompt_ids)
        self.asked[prompt] += 1
        self.answers += 1
        sampling = Sampling(temperature=sampling_params["temperature"], max_new_tokens=sampling_params["max_tokens"])
        request = Request(prompt_ids=prompt, sampling=sampling, seed=self.asked[prompt])
        [answer] = self.policy.complete([request])
        steps = {"min_global_steps": self.answers, "max_global_steps": self.answers}
        logprobs = list(answer.logprobs) if sampling_params["logprobs"] else None
        return TokenOutput(token_ids=list(answer.token_ids), log_probs=logprobs, extra_fields=steps)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A model that knows one way by heart, in a directory as well, and that way as our own rollout plays it."""
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    envs = make_llm_vec(ENV, 1, context="conversation", action_format="bare")
    task = envs.slots.tasks("train")[0]
    [frame] = envs.slots.start([0], [task], [0])
    texts = [message["content"] for message in frame.info[keys.MESSAGES]] * 3
    directory = tmp_path_factory.mktemp("model")
    train_tokenizer(texts, TinySettings(vocabulary=330)).save_pretrained(directory)
    config = Qwen2Config(
        vocab_size=330, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4
    )
    config.num_key_value_heads, config.max_position_embeddings, config.tie_word_embeddings = 2, PROMPT + RESPONSE, True
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(config).eval()
    policy = HfPolicy(model, AutoTokenizer.from_pretrained(directory))
    expert = Demonstrator(policy.codec, form="{command}")
    shown = demonstrate(expert, envs.slots, [task], context="conversation", seed=0)
    samples = build_samples(shown, [[np.ones(len(e.turns)) for e in group.episodes] for group in shown], "conversation")
    learner = Learner(model, LearnerSettings(learning_rate=3e-3))
    for _ in range(60):
        learner.supervised(samples)
    model.save_pretrained(directory)
    [group], _ = play(
        policy, envs.slots, [task], group_size=1, sampling=Sampling(temperature=0.0), context="conversation", seed=0
    )
    return SimpleNamespace(directory=directory, policy=policy, task=task, group=group)


def worker(
    known: SimpleNamespace, tmp_path: Path, *, response: int = RESPONSE, temperature: float = 1.0, **settings: Any
) -> Any:
    """verl's own worker with its own configuration, in which the loop is registered as users register it."""
    import verl
    from hydra import compose, initialize_config_dir
    from verl.experimental.agent_loop import AgentLoopWorker

    loop = {
        "name": "key-door",
        "_target_": "trainers.verl_loop.EnvironmentLoop",
        "_convert_": "all",
        "make_envs": {
            "_target_": "wrappers.make_llm_vec",
            "_partial_": True,
            "env_id": ENV,
            "action_format": "bare",
        },
    }
    loops = tmp_path / "loops.yaml"
    loops.write_text(json.dumps([loop | settings]), encoding="utf-8")  # JSON is YAML
    rollout = "actor_rollout_ref.rollout"
    with initialize_config_dir(str(Path(verl.__file__).parent / "trainer/config"), version_base=None):
        config = compose(
            "ppo_trainer",
            overrides=[
                f"{rollout}.name=vllm",
                f"{rollout}.agent.agent_loop_config_path={loops}",
                f"{rollout}.calculate_log_probs=true",
                f"{rollout}.temperature={temperature}",
                f"actor_rollout_ref.model.path={known.directory}",
                f"data.max_prompt_length={PROMPT}",
                f"data.max_response_length={response}",
            ],
        )
    return AgentLoopWorker(config, Server(known.policy))


def batch_of(known: SimpleNamespace, tmp_path: Path, worker: Any, repetitions: int) -> Any:
    """The row of the known task out of a file, as verl's data set reads it, repeated as its trainer does."""
    from datasets import Dataset
    from verl.protocol import DataProto
    from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn

    from trainers.verl_loop import rows

    [row] = [row for row in rows(ENV, "key-door", "train") if row["extra_info"]["task"] == known.task]
    Dataset.from_list([row]).to_parquet(tmp_path / "train.parquet")
    data = RLHFDataset(str(tmp_path / "train.parquet"), worker.tokenizer, worker.config.data)
    batch = DataProto.from_single_dict(collate_fn([data[0]]))
    batch.non_tensor_batch["uid"] = np.array(["a group"], dtype=object)
    return batch.repeat(repetitions, interleave=True)


def spoken(mask: Any) -> Iterator[tuple[int, int]]:
    """Where the runs of ones begin and end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(mask), [0]])))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def test_an_episode_is_the_one_that_is_played_here(known, tmp_path):
    [episode] = known.group.episodes
    assert episode.success, "the model knows the way by heart"
    loops = worker(known, tmp_path)
    batch = batch_of(known, tmp_path, loops, 1)
    batch.meta_info["validate"] = True  # greedy
    found = asyncio.run(loops.generate_sequences(batch))
    [sample] = build_samples([known.group], None, "conversation")
    there = found.batch["attention_mask"][0].bool()
    assert found.batch["input_ids"][0][there].tolist() == sample.ids.tolist()
    mask = torch.cat([torch.zeros(PROMPT, dtype=torch.long), found.batch["response_mask"][0]])
    assert mask[there].bool().tolist() == sample.action_mask.tolist()
    logprobs = found.batch["rollout_log_probs"][0][: int(there[PROMPT:].sum())]
    np.testing.assert_allclose(logprobs[logprobs != 0], sample.old_logprobs[sample.old_logprobs != 0], atol=1e-5)
    # The score stands at the row's last token; what it is made of comes beside it.
    assert found.batch["rm_scores"][0].nonzero().tolist() == [[int(there[PROMPT:].sum()) - 1]]
    assert found.batch["rm_scores"].sum() == sum(turn.reward for turn in episode.turns) == 1
    extra = {name: values[0] for name, values in found.non_tensor_batch.items()}
    assert extra["states"] == [turn.state_key for turn in episode.turns]
    assert extra["turn_scores"] == [turn.reward for turn in episode.turns]
    assert (extra["success"], extra["score"], extra["status"]) == (1, 1, "finished")
    assert extra["__num_turns__"] == 2 * len(episode.turns) + 1
    assert (extra["min_global_steps"], extra["max_global_steps"]) == (1, len(episode.turns))


def test_sampled_rows_can_be_learnt_from(known, tmp_path):
    temperature = 0.95  # about half of the rows find the stairs
    loops = worker(known, tmp_path, temperature=temperature, answer_tokens=12, max_turns=9)
    found = asyncio.run(loops.generate_sequences(batch_of(known, tmp_path, loops, 16)))
    assert len({tuple(row) for row in found.batch["responses"].tolist()}) > 1
    mask = found.batch["response_mask"]
    turns = [list(spoken(row)) for row in mask]
    assert all(end - start <= 12 for row in turns for start, end in row)
    assert all(len(row) <= 9 for row in turns)
    # What the server said it sampled with is what the model says of the row as a whole.
    for number, row in enumerate(found.batch["input_ids"]):
        there = found.batch["attention_mask"][number].bool()
        whole_mask = torch.cat([torch.zeros(PROMPT), mask[number]])[there].bool()
        expected = torch.log_softmax(known.policy.model(row[there][None]).logits[0].float() / temperature, dim=-1)
        expected = expected[:-1].gather(1, row[there][1:, None])[:, 0][whole_mask[1:]]
        sampled = found.batch["rollout_log_probs"][number][mask[number].bool()]
        torch.testing.assert_close(sampled, expected, atol=1e-4, rtol=0)
    # GiGPO needs the states and the rewards of turns. Some of these have found the stairs in nine turns, some have not.
    states, scores = found.non_tensor_batch["states"], found.non_tensor_batch["turn_scores"]
    assert [len(row) for row in states] == [len(row) for row in scores] == [len(row) for row in turns]
    rewards = rewards_of_turns(scores, mask)
    assert rewards.sum(dim=1).tolist() == found.batch["rm_scores"].sum(dim=1).tolist()
    told, _ = advantages(Gigpo(), rewards, mask, found.non_tensor_batch["uid"], states=states)
    solved = found.batch["rm_scores"].sum(dim=1) == 1
    assert 0 < solved.sum() < len(solved)
    assert (told.sum(dim=1) > 0).tolist() == solved.tolist()
    assert not told[mask == 0].any()


def test_a_row_that_is_full_is_cut(known, tmp_path):
    [sample] = build_samples([known.group], None, "conversation")
    loops = worker(known, tmp_path, response=(len(sample) - sample.prompt_tokens) // 2)
    batch = batch_of(known, tmp_path, loops, 1)
    batch.meta_info["validate"] = True
    found = asyncio.run(loops.generate_sequences(batch))
    turns = list(spoken(found.batch["response_mask"][0]))
    assert 0 < len(turns) < len(known.group.episodes[0].turns)
    assert found.non_tensor_batch["status"].tolist() == ["cut"]
    assert len(found.non_tensor_batch["states"][0]) == len(turns)
    there = found.batch["attention_mask"][0].bool()
    assert found.batch["input_ids"][0][there].tolist() == sample.ids[: int(there.sum())].tolist()


class Says(Server):
    """Says what it is told to, one text after the other."""

    def __init__(self, policy: HfPolicy, texts: list[str]) -> None:
        super().__init__(policy)
        self.left = texts

    async def generate(self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any]) -> Any:
        from verl.workers.rollout.replica import TokenOutput

        return TokenOutput(token_ids=list(self.policy.codec.encode_answer(self.left.pop(0))))


def test_an_error_in_the_environment_ends_its_own_episode(known, tmp_path):
    make = {"_target_": "wrappers.make_llm_vec", "_partial_": True, "env_id": "tests.odd_env:OddTests/Odd-v0"}
    loops = worker(known, tmp_path, make_envs=make | {"action_format": "bare"})
    loops.llm_client = Says(known.policy, ["add", "raise"])
    batch = batch_of(known, tmp_path, loops, 1)
    batch.non_tensor_batch["extra_info"][0] = {"task": "train/0", "seed": 0}
    found = {name: values[0] for name, values in asyncio.run(loops.generate_sequences(batch)).non_tensor_batch.items()}
    # Counting earns 0.5 a step, and the step that goes wrong nothing.
    assert (found["status"], found["turn_scores"], found["states"]) == ("failed", [0.5, 0.0], ["0", "1"])
    loops.llm_client = Says(known.policy, [])
    batch.non_tensor_batch["extra_info"][0] = {"task": "train/2", "seed": 0}
    with pytest.raises(UnknownTaskError, match="expected a task, got 'train/2'"):
        asyncio.run(loops.generate_sequences(batch))


def test_rewards_stand_at_the_last_token_of_their_turn():
    mask = torch.tensor([[1, 1, 0, 1, 0, 0], [0, 1, 1, 1, 0, 1]])
    assert rewards_of_turns([[0.5, 2], [1, -1]], mask).tolist() == [[0, 0.5, 0, 2, 0, 0], [0, 0, 0, 1, 0, -1]]
    with pytest.raises(ValueError, match="expected a reward for each of 2 turns, got 1"):
        rewards_of_turns([[1.0], [1, -1]], mask)
