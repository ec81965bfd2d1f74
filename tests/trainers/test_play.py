import io

import gymnasium as gym
import pytest
from rich.console import Console

import agent_gym
from trainers.play import Session, terminal_reader

ALFWORLD = "AgentGym/ALFWorld-v0"
TASK = "generated_test/000000000"


class Shout(gym.Env):
    """A stranger's environment: no tasks, no expert, nothing to save, nothing told."""

    observation_space = action_space = agent_gym.FreeText()

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._left = 2
        return "Say something.", {}

    def step(self, action):
        self._left -= 1
        return action.upper(), 0.5, self._left == 0, False, {}


def make(**settings):
    return gym.make(ALFWORLD, disable_env_checker=True, **settings)


def play(env, lines, **options):
    """Play with these lines and return whether it was solved, and what was printed."""
    console = Console(file=io.StringIO(), width=80)
    left = iter(lines)

    def read_line(_words):
        try:
            return next(left)
        except StopIteration:
            raise EOFError from None

    solved = Session(env, console, read_line).play(**options)
    return solved, console.file.getvalue()


def expert_commands(task):
    env = make()
    env.reset(options={"task": task})
    commands, over = [], False
    while not over:
        commands.append(env.unwrapped.expert_action())
        over = env.step(commands[-1])[2]
    return commands


def test_session_to_the_end():
    commands = expert_commands(TASK)
    solved, text = play(make(), [*commands, "never read"], task=TASK)
    assert solved is True
    assert text.startswith(f"Task {TASK} (generated)\n")
    assert text.endswith(f"Solved after {len(commands)} steps. Reward 1.\n")


def test_session_to_the_limit():
    solved, text = play(make(max_episode_steps=2), ["sing", "", "dance", "never read"], task=TASK)
    assert solved is False
    assert text.endswith("Nothing happens.\nNothing happens.\nNot solved after 2 steps (the limit). Reward 0.\n")


def test_session_left_early():
    for lines in (["sing", "/quit", "never read"], ["sing"]):
        solved, text = play(make(), lines, seed=0)
        assert solved is None
        assert text.endswith("Left after 1 step, with a reward of 0 so far.\n")


def test_session_left_with_ctrl_c():
    def interrupt(_words):
        raise KeyboardInterrupt

    assert Session(make(), Console(file=io.StringIO()), interrupt).play(seed=0) is None


@pytest.mark.parametrize("request_", ["?", "/admissible"])
def test_session_lists_commands(request_):
    _, info = make().reset(options={"task": TASK})
    _, text = play(make(), [request_], task=TASK)
    assert "\n".join(info["admissible_actions"]) in text


def test_session_undoes_steps():
    env = make()
    observation, _ = env.reset(options={"task": TASK})
    goes = [command for command in env.reset(options={"task": TASK})[1]["admissible_actions"] if command[:2] == "go"]
    _, text = play(env, [goes[0], "sing", "/undo", "/undo", "/undo", goes[1]], task=TASK)
    arrived = env.unwrapped.simulator.state_key()
    assert "Back after 1 step.\n" in text
    assert f"Back after 0 steps.\n{observation}\n" in text
    assert "There is no step to take back." in text
    # What was undone has left no trace: the state is that of the last command alone.
    env.reset(options={"task": TASK})
    env.step(goes[1])
    assert env.unwrapped.simulator.state_key() == arrived
    assert "Left after 1 step," in text


def test_session_asks_the_expert():
    _, text = play(make(), ["/expert"], task=TASK)
    assert f"The expert would: {expert_commands(TASK)[0]}\n" in text
    assert "Left after 0 steps" in text


def test_session_shows_task_rules_and_help():
    env = make()
    _, text = play(env, ["/task", "/rules", "/help"], task=TASK)
    assert text.count(f"Task {TASK} (generated)") == 2
    assert text.count("Your task is to") == 2
    assert env.unwrapped.instructions in text
    assert "take the last step back" in text


@pytest.mark.parametrize(
    ("word", "meant"), [("undo", "/undo"), ("Quit", "/quit"), ("exit", "/quit"), ("help", "/help")]
)
def test_a_request_without_its_stroke_costs_no_step(word, meant):
    _, text = play(make(), [word], task=TASK)
    assert f"'{word}' is no command that does something here: did you mean {meant}? This cost no step" in text
    assert "Left after 0 steps" in text
    _, text = play(make(), [word, word], task=TASK)
    assert "Left after 1 step," in text
    _, text = play(make(), [word, "?", word], task=TASK)
    assert "Left after 0 steps" in text


def test_a_word_that_the_environment_knows_is_sent():
    _, text = play(make(wording="move"), ["help"], task=TASK)
    assert "did you mean" not in text
    assert "Left after 1 step," in text


def test_session_suggests_what_was_meant():
    _, text = play(make(), ["/undu", "/xyz"], seed=0)
    assert "There is no /undu. Did you mean '/undo'? /help lists what there is." in text
    assert "There is no /xyz. /help lists what there is." in text


def test_session_in_a_strangers_environment():
    requests = ["?", "/undo", "/expert", "/task", "/rules"]
    solved, text = play(Shout(), [*requests, "hello", "/undo", "[bold]you[/bold]"])
    assert solved is False
    for said in [
        "Task without a name",
        "does not tell its admissible commands",
        "has no expert",
        "tells no rules",
        "it does not save its state",
        "HELLO\n",
        "[BOLD]YOU[/BOLD]\n",  # what looks like rich's markup is text
    ]:
        assert said in text
    assert text.endswith("Over after 2 steps. Reward 1.\n")


def test_terminal_reader_echoes_what_comes_from_a_pipe(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"go [to] bed\nL\xc3\xb6ffel \xff\n"), "utf-8"))
    console = Console(file=io.StringIO())
    read_line = terminal_reader(console)
    assert read_line(()) == "go [to] bed"
    assert read_line(()) == "Löffel \ufffd"
    with pytest.raises(EOFError):
        read_line(())
    assert console.file.getvalue() == "> go [to] bed\n> Löffel \ufffd\n"
