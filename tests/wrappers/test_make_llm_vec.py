import functools
import json
import pickle
import re

import gymnasium as gym
import numpy as np
import pytest

from agent_gym import TextVectorEnv, restore_state, save_state
from agent_gym.errors import AgentGymError, BadOptionError
from wrappers import make_llm_vec, wrap_for_llm

CORRIDOR = "WrapperTest/Corridor-v0"
ANSWERS = ["<action>east</action>", "hm", "<think>back</think><action>west</action>", "<action>east</action>"]


def layers(env):
    names = []
    while isinstance(env, gym.Wrapper):
        names.append(type(env).__name__)
        env = env.env
    return names


def test_wrap_for_llm_builds_the_stack(corridor, tmp_path):
    inner = layers(corridor)
    assert layers(wrap_for_llm(corridor)) == ["RenderPrompt", "ParseAction", *inner]
    env = wrap_for_llm(corridor, context="step", scale=10.0, record=tmp_path / "episodes.jsonl")
    assert layers(env) == ["RecordEpisodes", "RenderPrompt", "RememberHistory", "ParseAction", "ScaleReward", *inner]


def test_wrap_for_llm_refuses_an_unknown_setting(corridor):
    with pytest.raises(BadOptionError, match=r"got 'contxt'\. Did you mean 'context'\?"):
        wrap_for_llm(corridor, contxt="step")  # type: ignore[call-arg]  # refused here too


@pytest.mark.parametrize("settings", [{}, {"context": "step", "history": 1, "action_format": "json", "scale": 3.0}])
def test_make_llm_vec_is_the_stack_in_every_slot(settings):
    envs = make_llm_vec(CORRIDOR, 3, **settings)
    assert isinstance(envs, TextVectorEnv)
    assert envs.num_envs == envs.slots.num_slots == 3
    assert envs.metadata["context"] == settings.get("context", "conversation")
    assert len({tuple(layers(env)) for env in envs.envs}) == 1


def test_make_llm_vec_by_slots():
    envs = make_llm_vec(CORRIDOR, 2, context="step", history=1, scale=10.0)
    frames = envs.slots.start([0, 1], ["train/2", "test/4"], [0, 0])
    assert [frame.info["task"] for frame in frames] == ["train/2", "test/4"]
    assert "reach cell 4" in frames[1].info["messages"][-1]["content"]
    # Only slot 0 goes on; two steps east solve its task, which pays 1 times 10.
    envs.slots.step([0], ["<action>east</action>"])
    [frame] = envs.slots.step([0], ["<action>east</action>"])
    assert (frame.reward, frame.terminated, frame.info["score"]) == (10.0, True, 1.0)
    assert frame.info["history"] == (("You are in cell 1.", "east"),)
    [frame] = envs.slots.step([1], ["silence"])
    assert (frame.observation, frame.info["format_valid"]) == ("Nothing happens.", False)


def test_make_llm_vec_passes_settings_on():
    envs = make_llm_vec(CORRIDOR, 1, split="test", max_episode_steps=2, action_format="bare", instructions="")
    [frame] = envs.slots.start([0], [None], [0])
    assert frame.info["task"] == "test/4"
    assert [message["role"] for message in frame.info["messages"]] == ["user"]
    assert [envs.slots.step([0], ["east"])[0].truncated for _ in range(2)] == [False, True]


def test_environments_without_text_are_refused():
    with pytest.raises(BadOptionError, match=r"CartPole-v1 is no text environment: expected observations .* Box\("):
        make_llm_vec("CartPole-v1", 1)
    with pytest.raises(BadOptionError, match="is no text environment"):
        wrap_for_llm(gym.make("CartPole-v1"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_envs": 0}, "num_envs must be a number of environments (1, 2, …), got 0."),
        ({"num_envs": 2.0}, "got 2.0."),
        ({"context": "chat"}, "context must be one of ['step', 'conversation'], got 'chat'."),
        ({"context": "step", "history": -1}, "history must be a number of pairs"),
        ({"history": -1}, "history must be a number of pairs"),
        ({"histroy": 3}, "Did you mean 'history'?"),
        ({"splits": "train"}, "Did you mean 'split'?"),
        ({"split": "trian"}, "Did you mean 'train'?"),
        ({"action_format": "xml"}, "action_format must be one of"),
        ({"scale": float("nan")}, "scale must be a finite number"),
    ],
)
def test_make_llm_vec_refuses_bad_settings(settings, message):
    with pytest.raises(AgentGymError, match=re.escape(message)):
        make_llm_vec(CORRIDOR, **{"num_envs": 1} | settings)


def test_make_llm_vec_of_an_unknown_id():
    with pytest.raises(gym.error.NameNotFound, match="ALFWorld"):
        make_llm_vec("AgentGym/ALFWrld-v0", 1)


def test_make_llm_vec_records_all_slots_in_one_file(tmp_path):
    path = tmp_path / "episodes.jsonl"
    envs = make_llm_vec(CORRIDOR, 2, record=path)
    envs.slots.start([0, 1], ["train/2", "train/3"], [0, 1])
    for _ in range(2):
        envs.slots.step([1, 0], ["<action>east</action>"] * 2)
    envs.close()
    episodes = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(e["task"], e["status"], e["seed"]) for e in episodes] == [
        ("train/2", "terminated", 0),
        ("train/3", "abandoned", 1),
    ]


@pytest.mark.parametrize("context", ["step", "conversation"])
def test_the_whole_stack_is_saved_and_restored(corridor, tmp_path, context):
    env = wrap_for_llm(corridor, context=context, scale=2.0, record=tmp_path / "episodes.jsonl")
    env.reset(options={"task": "train/3"})
    env.step(ANSWERS[0])
    state = pickle.dumps(save_state(env))
    first = [env.step(answer) for answer in ANSWERS]
    restore_state(env, pickle.loads(state))
    assert [env.step(answer) for answer in ANSWERS] == first
    # Another object of the same stack goes on from there too.
    other = wrap_for_llm(gym.make(CORRIDOR), context=context, scale=2.0, record=tmp_path / "other.jsonl")
    other.reset(options={"task": "train/2"})
    restore_state(other, pickle.loads(state))
    assert [other.step(answer) for answer in ANSWERS] == first


def test_the_whole_stack_is_made_again_from_its_spec(corridor, tmp_path):
    env = wrap_for_llm(corridor, context="step", history=1, scale=2.0, record=tmp_path / "episodes.jsonl")
    assert env.spec is not None
    again = gym.make(env.spec)
    assert layers(again) == layers(env)
    assert again.reset(seed=3) == env.reset(seed=3)
    assert again.step(ANSWERS[0]) == env.step(ANSWERS[0])


def frames_of(envs):
    """Everything that two episodes' worth of steps give back, as plain data."""
    answers = np.random.default_rng(0).choice(ANSWERS, size=(20, 3))
    outcome = [envs.reset(seed=4)]
    outcome += [envs.step([str(answer) for answer in row]) for row in answers]
    envs.close()
    return [plain(part) for part in outcome]


def plain(value):
    if isinstance(value, dict):
        return {name: plain(part) for name, part in sorted(value.items())}
    if isinstance(value, (tuple, list, np.ndarray)):
        return [plain(part) for part in value]
    return value


@pytest.mark.parametrize("context", ["step", "conversation"])
def test_the_whole_stack_is_the_same_in_every_kind_of_vector(context):
    wrap = functools.partial(wrap_for_llm, context=context, scale=2.0)
    in_process = frames_of(make_llm_vec(CORRIDOR, 3, context=context, scale=2.0))
    sync = gym.make_vec(CORRIDOR, num_envs=3, vectorization_mode="sync", wrappers=[wrap])
    assert frames_of(sync) == in_process
    workers = gym.make_vec(
        CORRIDOR, num_envs=3, vectorization_mode="async", wrappers=[wrap], vector_kwargs={"shared_memory": False}
    )
    assert frames_of(workers) == in_process
