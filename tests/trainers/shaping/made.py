"""Groups written by hand, and groups that hypothesis draws."""

from hypothesis import strategies as st

from trainers.types import Completion, Episode, Group, Turn


def made_turn(key="s", reward=0.0, *, tokens=1, logprob=0.0, **more):
    completion = Completion(prompt_ids=(1,), token_ids=(2,) * tokens, logprobs=(logprob,) * tokens)
    return Turn(completion=completion, state_key=key, reward=reward, **more)


def made_episode(keys, rewards, *, answers=None, success=None, **more):
    """One turn per letter of `keys`; the answers are a letter each too."""
    answers = answers or "a" * len(keys)
    after = [*keys[1:], "end"]
    turns = [
        made_turn(key, reward, answer=answer, observation=f"at {key}", reply=f"at {nxt}", info={"state_key": nxt})
        for key, reward, answer, nxt in zip(keys, rewards, answers, after, strict=True)
    ]
    return Episode(turns=tuple(turns), success=sum(rewards) > 0 if success is None else success, **more)


def made_group(*episodes, task="toy/0"):
    return Group(task=task, episodes=episodes)


def rewards_of(group):
    return [episode.rewards.tolist() for episode in group.episodes]


drawn_episodes = st.lists(
    st.tuples(st.sampled_from("ABCD"), st.sampled_from("xyz"), st.sampled_from([-0.1, 0.0, 0.5, 1.0])),
    min_size=1,
    max_size=8,
).map(lambda turns: made_episode([k for k, _, _ in turns], [r for _, _, r in turns], answers=[a for _, a, _ in turns]))
drawn_groups = st.lists(drawn_episodes, min_size=1, max_size=5).map(lambda episodes: made_group(*episodes))
