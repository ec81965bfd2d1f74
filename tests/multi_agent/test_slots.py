"""Agents of one game, each in a slot of its own."""

import pytest

from agent_gym import keys
from agent_gym.errors import BadOptionError, EpisodeError, StateError, UnknownTaskError
from agent_gym.multi_agent import kuhn_poker_v0, negotiation_v0, twenty_questions_v0
from agent_gym.multi_agent.slots import WAITING, GameSlots
from agent_gym.vector import Frame
from trainers.stepping import expert_action
from wrappers import ParseAction, RememberHistory, RenderPrompt

KJ = ["train/KJ@player_0", "train/KJ@player_1"]
CAT_TASK = twenty_questions_v0.task_of("cat")


def play(slots, tasks, order=1, answer=lambda command: command):
    """Play one episode per slot by the experts; a list of frames for each, the waiting ones left out."""
    frames: dict[int, list[Frame]] = {slot: [] for slot in range(len(tasks))}
    live = list(frames)[::order]
    first = slots.start(live, [tasks[slot] for slot in live], [7] * len(live))
    last = dict(zip(live, first, strict=True))
    while live:
        waiting = [slot for slot in live if last[slot] is WAITING]
        assert len(waiting) < len(live), "somebody must have a turn"
        for slot in live:
            if last[slot] is not WAITING:
                frames[slot].append(last[slot])
        live = [slot for slot in live if not (last[slot].terminated or last[slot].truncated)]
        asked = [slot for slot in live if slot not in waiting]
        last |= zip(asked, slots.step(asked, [answer(expert_action(slots, slot)) for slot in asked]), strict=True)
        last |= zip(waiting, slots.look(waiting), strict=True)
    return frames


def test_two_slots_play_one_game():
    slots = GameSlots(kuhn_poker_v0.env, 2)
    first, second = slots.start([0, 1], KJ, [0, 0])
    assert first.observation == "Your card is the king. You act first: check or bet."
    assert first.info[keys.TASK] == KJ[0]
    assert first.info[keys.ROLE] == "first"
    assert second is WAITING
    assert slots.look([1]) == [WAITING]
    assert slots.step([0], ["bet"]) == [WAITING]
    (second,) = slots.look([1])
    assert second.observation == "Your card is the jack. The other player bets: call or fold."
    assert slots.envs[1].unwrapped.instructions != slots.envs[0].unwrapped.instructions
    (second,) = slots.step([1], ["call"])
    assert (second.reward, second.terminated) == (-2.0, True)
    # What the first got while it waited is paid with the frame that it waited for.
    (first,) = slots.look([0])
    assert (first.reward, first.terminated, first.info[keys.SUCCESS]) == (2.0, True, True)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("module", [kuhn_poker_v0, negotiation_v0, twenty_questions_v0])
def test_whole_groups_are_as_if_each_game_were_played_alone(module, order):
    game = module.raw_env()
    task, size = str(game.tasks("train")[3]), 3
    tasks = [f"{task}@{agent}" for agent in game.possible_agents for _ in range(size)]
    frames = play(GameSlots(module.env, 2 * size), tasks, order)
    game.reset(seed=7, options={"task": task})
    rewards = dict.fromkeys(game.possible_agents, 0.0)
    while game.turn:
        game.step(game.expert_action())
        rewards = {agent: rewards[agent] + game.rewards[agent] for agent in rewards}
    for slot, name in enumerate(tasks):
        agent = name.rpartition("@")[2]
        told = [observation for _, observation in game.transcript(agent)]
        assert [frame.observation for frame in frames[slot]] == told
        assert sum(frame.reward for frame in frames[slot]) == pytest.approx(rewards[agent])
        assert frames[slot][-1].terminated
        assert frames[slot][-1].info[keys.STATE_KEY] == game.infos[agent][keys.STATE_KEY]


def test_a_group_may_start_before_the_other_role_has_slots():
    slots = GameSlots(kuhn_poker_v0.env, 4)
    first = slots.start([0, 1, 2], [KJ[0]] * 3, [0, 0, 0])
    assert all(frame.observation.startswith("Your card is the king.") for frame in first)
    slots.step([0, 1, 2], ["bet"] * 3)
    for _ in range(3):  # one slot plays the others one after the other
        assert slots.start([3], [KJ[1]], [0])[0].observation.endswith("call or fold.")
        assert slots.step([3], ["call"])[0].reward == -2.0
    assert [frame.reward for frame in slots.look([0, 1, 2])] == [2.0] * 3


def test_who_comes_first_meets_who_comes_first():
    slots = GameSlots(kuhn_poker_v0.env, 6)
    play(slots, [KJ[0], KJ[1], KJ[0], KJ[1]])  # leaves games behind that are used again
    for agent, places in ((KJ[0], (4, 2, 0)), (KJ[1], (1, 5, 3))):
        for slot in places:
            slots.start([slot], [agent], [0])
    slots.step([4], ["bet"])
    slots.step([2, 0], ["check", "check"])
    waiting = slots.look([1, 5, 3])
    assert ["bets" in frame.observation for frame in waiting] == [True, False, False]


def test_slots_are_used_again():
    slots = GameSlots(kuhn_poker_v0.env, 2)
    for task in ("KJ", "JQ", "QK"):
        frames = play(slots, [f"train/{task}@player_0", f"train/{task}@player_1"])
        assert sum(frame.reward for each in frames.values() for frame in each) == 0.0


def test_wrappers_see_each_turn_once():
    def wrap(env):
        return RenderPrompt(RememberHistory(ParseAction(env), length=None), "step")

    slots = GameSlots(negotiation_v0.env, 2, wrap)
    task = str(negotiation_v0.raw_env().tasks("train")[0])
    frames = play(slots, [f"{task}@player_0", f"{task}@player_1"], answer="<action>{}</action>".format)
    for slot in (0, 1):
        for number, frame in enumerate(frames[slot]):
            assert len(frame.info["history"]) == number
            assert frame.observation in frame.info[keys.MESSAGES][-1]["content"]
        seen = [frame.observation for frame in frames[slot]]
        assert [observation for observation, _ in frames[slot][-1].info["history"]] == seen[:-1]


def test_who_leaves_is_replaced_by_the_expert():
    slots = GameSlots(negotiation_v0.env, 2)
    task = str(negotiation_v0.raw_env().tasks("train")[0])
    slots.start([0, 1], [f"{task}@player_0", f"{task}@player_1"], [0, 0])
    slots.leave([0])
    (frame,) = slots.look([1])
    while not frame.terminated:
        (frame,) = slots.step([1], [expert_action(slots, 1)])
        assert frame is not WAITING
    assert frame.info["deal"] is True


def test_a_game_may_be_over_before_somebody_comes():
    slots = GameSlots(twenty_questions_v0.env, 2)
    slots.start([0], [f"{CAT_TASK}@asker_0"], [0])
    (found,) = slots.step([0], ["Is it a cat?"])
    assert (found.reward, found.terminated) == (1.0, True)
    (late,) = slots.start([1], [f"{CAT_TASK}@answerer_0"], [0])
    assert (late.terminated, late.info[keys.SUCCESS]) == (True, True)
    assert play(slots, [f"{CAT_TASK}@asker_0", f"{CAT_TASK}@answerer_0"])[0][-1].info[keys.SUCCESS] is True


def test_a_limit_on_turns_truncates():
    slots = GameSlots(lambda: negotiation_v0.env(turns=2), 2)
    task = str(negotiation_v0.raw_env().tasks("train")[0])
    slots.start([0, 1], [f"{task}@player_0", f"{task}@player_1"], [0, 0])
    slots.step([0], ["say a"])
    slots.look([1])
    (frame,) = slots.step([1], ["say b"])
    assert (frame.terminated, frame.truncated) == (False, True)
    assert slots.look([0])[0].truncated is True


def test_tasks_are_pairs():
    assert GameSlots(kuhn_poker_v0.env, 2).tasks("train")[:2] == ["train/JK@player_0", "train/JK@player_1"]


def test_out_of_turn_and_out_of_place():
    slots = GameSlots(kuhn_poker_v0.env, 2)
    slots.start([0, 1], KJ, [0, 0])
    with pytest.raises(EpisodeError, match="waits for another agent"):
        slots.step([1], ["bet"])
    with pytest.raises(UnknownTaskError, match="task@agent"):
        slots.start([0], ["train/KJ"], [0])
    with pytest.raises(BadOptionError, match="a task for every slot"):
        slots.start([0], [None], [0])
    with pytest.raises(BadOptionError, match="num_slots must be 2 or more"):
        GameSlots(kuhn_poker_v0.env, 1)
    with pytest.raises(StateError, match="save the game itself"):
        GameSlots(kuhn_poker_v0.env, 2).envs[0].unwrapped._get_state()
