"""ChatR1's intent reward in conversations, through the trainer's command line."""

import json

import gymnasium as gym
import pytest

from trainers.cli import main

pytest.importorskip("bm25s", reason="needs the extra search")
pytest.importorskip("torch", reason="needs the extra train")
SETTINGS = {"documents": 60, "dialogues": 1, "results": 1, "turns": 1}


def queries_of(run):
    """The first query of each episode, by iteration."""
    found: dict[int, list[str]] = {}
    for line in (run / "episodes.jsonl").read_text(encoding="utf-8").splitlines():
        episode = json.loads(line)
        found.setdefault(episode["iteration"], []).append(episode["turns"][0]["answer"])
    return found


@pytest.mark.parametrize("weight", ["1.0", "0.0"])
def test_the_intent_reward_alone_teaches_to_say_what_is_meant(tmp_path, weight):
    """With one turn nothing can be answered, so the environment pays nothing: what is learnt is the shaper's doing."""
    words = [f"{name}={value}" for name, value in SETTINGS.items()]
    command = "train --env AgentGym/ConversationalQA-v0 --model tabular:state:64 --method intent --iterations 15"
    learner = "--learner.optimiser sgd --learner.learning-rate 300 --learner.max-grad-norm 1e9 --loss.kl-weight 0"
    rollout = "--rollout.groups 2 --rollout.group-size 16 --rollout.max-new-tokens 1 --rollout.tasks 1"
    output = ["--output-dir", str(tmp_path / "run"), "--output.save-steps", "1000"]
    arguments = [
        *command.split(),
        *learner.split(),
        *rollout.split(),
        "--env.num-envs",
        "16",
        "--shaping.intent.weight",
        weight,
    ]
    assert main([*arguments, "--env.settings", *words, *output]) == 0
    played = queries_of(tmp_path / "run")
    env = gym.make("AgentGym/ConversationalQA-v0", disable_env_checker=True, **SETTINGS)
    lines = (tmp_path / "run" / "episodes.jsonl").read_text(encoding="utf-8").splitlines()
    [task] = {json.loads(line)["task"] for line in lines}
    _, info = env.reset(options={"task": task})
    meant = f"<action><search>{info['rewrite']}</search></action>"
    share = [sum(answer == meant for answer in answers) / len(answers) for _, answers in sorted(played.items())]
    chance = 1 / len(info["admissible_actions"])
    assert len(share) == 15
    assert share[0] < 3 * chance
    if weight == "1.0":
        assert sum(share[-3:]) / 3 > 0.8
    else:
        assert sum(share) / 15 == pytest.approx(chance, abs=0.1)
