"""Our environments in TRL's trainer, with a model that says one thing."""

import json
import pickle

import gymnasium as gym
import pytest

from agent_gym.adapters.trl import TrlEnvironment, environment_factory, prompt_rows
from agent_gym.errors import BadOptionError

LAKE = "AgentGym/FrozenLake-v0"
BANDIT, ARM = "AgentGym/DynamicalLinearBandit-v0", "arm 4"


def test_an_environment_is_played_through_its_tool():
    env = environment_factory(LAKE, slippery=False, admissible=True)()
    assert env.reset(task="train/4-3-000", prompt="not used").endswith("Admissible commands: down, right.")
    for command in ("down", "right", "right", "down", "down"):  # around the hole: see the map in the class's docstring
        assert "Admissible commands: " in env.act(command)
    assert env.get_reward() == 0.0
    assert env.act("right").endswith("The episode is over; there is nothing left to do.")
    assert env.get_reward() == 1.0
    assert env.act("right") == "The episode is over; there is nothing left to do."
    assert env.get_reward() == 1.0
    env.reset(task="train/4-3-000")
    assert env.get_reward() == 0.0


def test_rows_name_tasks_and_carry_the_rules():
    rows = prompt_rows(LAKE, split="valid", count=4, layouts=8, seed=10)
    # 8 tasks, 4 of them: every second.
    assert [row["task"] for row in rows] == [f"valid/4-3-{number:03d}" for number in (0, 2, 4, 6)]
    assert [row["seed"] for row in rows] == [10, 11, 12, 13]
    assert "frozen lake" in rows[0]["prompt"][0]["content"]
    assert "tool `act`" in rows[0]["prompt"][0]["content"]
    with pytest.raises(BadOptionError, match="count"):
        prompt_rows(LAKE, count=0)


def test_members_of_a_group_meet_the_same_start_and_chance():
    row = prompt_rows(LAKE, count=1)[0]
    one, other = environment_factory(LAKE)(), environment_factory(LAKE)()
    assert one.reset(**row) == other.reset(**row)
    assert [one.act("down") for _ in range(5)] == [other.act("down") for _ in range(5)]


def test_the_factory_pickles():
    factory = pickle.loads(pickle.dumps(environment_factory(LAKE, slippery=False)))
    assert isinstance(factory(), TrlEnvironment)


def test_environments_without_text_are_refused():
    with pytest.raises(BadOptionError, match="environment of text"):
        environment_factory("CartPole-v1")
    with pytest.raises(gym.error.Error):
        environment_factory("AgentGym/NoSuchThing-v0")


def test_grpo_trainer_plays_and_is_paid_by_the_environment(tmp_path, monkeypatch):
    """A table of a model that calls `act` after every header: TRL runs the tool, and asks for the reward."""
    trl = pytest.importorskip("trl", reason="needs the extra bench")
    datasets = pytest.importorskip("datasets", reason="needs the extra bench")
    transformers = pytest.importorskip("transformers", reason="needs the extra train")
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    call = json.dumps({"name": "act", "arguments": {"command": ARM}})
    marks = ["<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>", "<pad>", "assistant\n", f"\n{call}\n"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={sign: place for place, sign in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer.add_tokens(marks)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<pad>", padding_side="left"
    )
    fast.chat_template = trl.chat_template_utils.qwen2_5_chat_template
    start, end, calls, called, _, header, what = (fast.convert_tokens_to_ids(mark) for mark in marks)
    config = transformers.GPT2Config(
        vocab_size=len(fast), n_positions=4096, n_embd=16, n_layer=1, n_head=1, eos_token_id=end, bos_token_id=start
    )
    config.tie_word_embeddings = False
    config.embd_pdrop = config.attn_pdrop = config.resid_pdrop = 0.0  # else a token may lose its direction
    model = transformers.GPT2LMHeadModel(config)
    with torch.no_grad():  # each token of the call has a direction of its own, in which its successor's logit grows
        for parameter in model.parameters():
            parameter.zero_()
        model.transformer.ln_f.weight.fill_(1.0)
        for place, (before, after) in enumerate([(header, calls), (calls, what), (what, called), (called, end)]):
            model.transformer.wte.weight[before, place] = 1.0
            model.lm_head.weight[after, place] = 10.0
    rows = prompt_rows(BANDIT, count=2)
    trainer = trl.GRPOTrainer(
        model=model,
        args=trl.GRPOConfig(
            output_dir=str(tmp_path),
            max_steps=1,
            per_device_train_batch_size=4,
            num_generations=2,
            max_completion_length=400,
            max_tool_calling_iterations=2,
            report_to="none",
            use_cpu=True,
            bf16=False,
            logging_steps=1,
        ),
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=fast,
        environment_factory=environment_factory(BANDIT),
    )
    trainer.train()
    log = trainer.state.log_history[0]
    assert log["tools/call_frequency"] == 2.0
    assert log["tools/failure_frequency"] == 0.0
    # Two groups of two: a task's members are paid alike.
    paid = []
    for row in rows:
        env = environment_factory(BANDIT)()
        env.reset(**row)
        for _ in range(2):
            env.act(ARM)
        paid.append(env.get_reward())
    assert paid[0] != paid[1]
    assert log["rewards/TrlEnvironment/mean"] == pytest.approx(sum(paid) / 2)
