"""TextWorld: what is played is what the engine plays, a key stands for one state, and bad files are refused."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from agent_gym import keys
from agent_gym.envs.diagnostic import SPLITS
from agent_gym.envs.textworld.engine import NOT_UNDERSTOOD, ONE_AT_A_TIME, _clean
from agent_gym.envs.textworld.maker import Maker
from agent_gym.envs.textworld.tasks import kind_of
from agent_gym.errors import (
    BadOptionError,
    DataNotFoundError,
    GameFileError,
    MissingExtraError,
    UnknownTaskError,
    UnsupportedGameError,
)
from wrappers import make_llm_vec

textworld = pytest.importorskip("textworld", reason="needs the extra textworld")

ID = "AgentGym/TextWorld-v0"
HUNT = {"challenge": "treasure-hunter", "level": 12, "layouts": 2}
COOKING = {"challenge": "cooking", "layouts": 2}
KINDS: dict[str, Any] = {
    "level": 5,
    "rewards": "dense",
    "goal": "brief",
    "recipe": 1,
    "take": 1,
    "rooms": 1,
    "skills": "cut",
}


def make(**settings):
    return gym.make(ID, disable_env_checker=True, **settings)


def play_expert(env):
    """Play the expert to the end; the sum of rewards and the last info."""
    total, over = 0.0, False
    while not over:
        _, reward, terminated, truncated, info = env.step(env.unwrapped.expert_action())
        total, over = total + reward, terminated or truncated
    return total, info


@pytest.fixture(scope="module")
def game_files():
    """The story file and the facts of a generated game."""
    env = make()
    env.reset(options={"task": env.unwrapped.tasks("train")[0]})
    story = env.unwrapped.player.game.path.story
    return story, story.with_suffix(".json")


@pytest.mark.parametrize("settings", [{}, HUNT, COOKING], ids=["coin-collector", "treasure-hunter", "cooking"])
def test_the_engines_own_wrapper_says_the_same(settings):
    env = make(steps=100, **settings)
    observation, info = env.reset(options={"task": env.unwrapped.tasks("train")[0]})
    player = env.unwrapped.player
    asked = textworld.EnvInfos(facts=True, admissible_commands=True, won=True, lost=True, score=True)
    original = textworld.start(str(player.game.path.story), asked)
    state, over, rng = original.reset(), False, np.random.default_rng(0)
    assert _clean(state.feedback).endswith(observation)  # which is without the title's picture
    for _ in range(40):
        assert info[keys.ADMISSIBLE_ACTIONS] == (() if over else tuple(state.admissible_commands))
        assert {*map(str, player.position.facts)} == {*map(str, state["_facts"])}
        if over:
            break
        command = str(rng.choice(info[keys.ADMISSIBLE_ACTIONS]))
        observation, _, over, _, info = env.step(command)
        state, _, _ = original.step(command)
        assert observation == _clean(state.feedback)
        assert (player.position.won, player.position.lost, player.position.points) == (
            state.won,
            state.lost,
            state.score,
        )
        given = zip(player.game.game.quests, player.position.done, strict=True)
        assert sum(quest.reward for quest, done in given if done) == state.score  # the key's view of the quests


def test_a_state_key_stands_for_one_state_even_in_what_is_listed_first():
    env, rng = make(steps=10_000, **COOKING), np.random.default_rng(3)
    _, info = env.reset(options={"task": env.unwrapped.tasks("train")[0]})
    base, again = env.unwrapped, 0
    seen: dict[str, Any] = {}
    for _ in range(250):
        choices = [word for word in info[keys.ADMISSIBLE_ACTIONS] if word.split()[0] not in ("eat", "cook", "examine")]
        key, state = info[keys.STATE_KEY], base.get_state()
        if key in seen and seen[key]["simulator"][0].actions != state["simulator"][0].actions:
            again += 1
            for command in (*choices, "inventory", "look"):
                outcomes = []
                for one in (seen[key], state):
                    base.set_state(one)
                    outcomes.append(base.step(command)[:2])
                assert outcomes[0] == outcomes[1], f"{command!r} after two ways to one key"
            base.set_state(state)
        seen.setdefault(key, state)
        *_, over, _, info = env.step(str(rng.choice(choices)))
        assert not over
    assert again > 20  # states are met again on other ways


def test_things_that_lie_in_another_order_are_another_state():
    env = make(steps=1000, challenge="cooking", recipe=3, take=0, rooms=1, skills="cut", layouts=1)
    env.reset(options={"task": env.unwrapped.tasks("train")[0]})
    held = [command for command in env.unwrapped.player.commands if command.startswith("drop ")][:2]
    start, ends = env.unwrapped.get_state(), []
    for order in (held, held[::-1]):
        env.unwrapped.set_state(start)
        for command in order:
            _, _, _, _, info = env.step(command)
        ends.append((info[keys.STATE_KEY], {*map(str, env.unwrapped.player.position.facts)}, env.step("look")[0]))
    assert ends[0][1] == ends[1][1]
    assert ends[0][2] != ends[1][2]
    assert ends[0][0] != ends[1][0]


@pytest.mark.parametrize(
    "settings", [{}, HUNT, COOKING, {"challenge": "simple", "rewards": "sparse", "layouts": 1}], ids=str
)
def test_the_expert_wins_and_the_rewards_add_up_to_the_score(settings):
    env = make(**settings)
    env.reset(options={"task": env.unwrapped.tasks("train")[0]})
    total, info = play_expert(env)
    assert info[keys.SUCCESS] is True
    assert info["lost"] is False
    assert info[keys.SCORE] == pytest.approx(total) == 1.0


def test_the_expert_finds_back_to_the_way():
    for settings in ({}, HUNT):
        env = make(steps=100, **settings)
        _, info = env.reset(options={"task": env.unwrapped.tasks("train")[0]})
        away = [word for word in info[keys.ADMISSIBLE_ACTIONS] if word.startswith("go ")]
        for command in (away[0], "look", "nonsense"):
            env.step(command)
        assert play_expert(env)[1][keys.SUCCESS] is True


def test_a_lost_game_ends_without_success():
    env = make(challenge="cooking", recipe=1, take=0, rooms=1, skills="cut", layouts=1)
    _, info = env.reset(options={"task": env.unwrapped.tasks("train")[0]})
    [ingredient] = env.unwrapped.player.game.game.metadata["ingredients"]
    _, _, terminated, _, info = env.step(f"eat {ingredient[0]}")  # the recipe can't be made any more
    assert (terminated, info["lost"], info[keys.SUCCESS], info[keys.ADMISSIBLE_ACTIONS]) == (True, True, False, ())
    assert info[keys.SCORE] < 1


def test_other_words_for_a_possible_command_count_and_nothing_else_does():
    env = make()
    _, before = env.reset(options={"task": env.unwrapped.tasks("train")[0]})
    [way] = [command for command in before[keys.ADMISSIBLE_ACTIONS] if command.startswith("go ")]
    opposite = {"north": "south", "south": "north", "east": "west", "west": "east"}
    direction = way.split()[1]
    for command, answer in (
        ("sing", "That's not a verb I recognise."),
        ("take moon", "You can't see any such thing."),
        (f"{way}. go {opposite[direction]}", ONE_AT_A_TIME),
        *((word, NOT_UNDERSTOOD) for word in ("print_state", "tw-print player location", "save", "undo", "again", "")),
    ):
        observation, reward, _, _, info = env.step(command)
        assert (observation, reward, info[keys.ACTION_VALID]) == (answer, 0.0, False)
        assert info[keys.STATE_KEY] == before[keys.STATE_KEY]
    first = env.step(f"  {direction[0]} ")
    assert first[-1][keys.ACTION_VALID] is True
    env.reset(options={"task": env.unwrapped.tasks("train")[0]})
    assert env.step(way) == first


def test_tasks_are_named_lazily_and_share_no_seed():
    env = make(layouts=1_000_000, challenge="simple", rewards="dense", goal="none").unwrapped
    assert env.tasks("valid")[999_999] == "valid/simple-dense-none-999999"
    assert env.tasks("test")[-2:] == ("test/simple-dense-none-999998", "test/simple-dense-none-999999")
    kind = kind_of("coin-collector", **KINDS)
    places = [(split, number, attempt) for split in SPLITS for number in (0, 1, 999_999) for attempt in (0, 1, 2)]
    assert len({kind.request(*place)["seed"] for place in places}) == len(places)
    cooking = kind_of("cooking", **KINDS)
    assert cooking.label == "cooking-1-1-1-cut"
    assert cooking.request("valid", 0, 0)["settings"]["split"] == "valid"  # its own lists of food
    assert kind_of("simple", **KINDS).request("test", 0, 0)["settings"]["test"] is True
    for task in ("train/coin-collector-5-brief-7", "train/coin-collector-6-brief-000007", "dev/x", "train/"):
        with pytest.raises(UnknownTaskError, match=r"such as 'train/coin-collector-5-brief-000000'"):
            make().unwrapped.reset(options={"task": task})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"challenge": "coin-colector"}, "challenge must be one of .* Did you mean 'coin-collector'"),
        ({"level": 0}, "level must be a whole number from 1 to 300"),
        ({"level": 190}, "level must be one with at most 100 rooms"),  # quest of 90, twice as many rooms
        ({"challenge": "treasure-hunter", "level": 31}, "from 1 to 30"),
        ({"goal": "short"}, "goal must be one of"),
        ({"challenge": "simple", "rewards": "many"}, "rewards must be one of"),
        ({"challenge": "cooking", "take": 2}, "take must be a whole number from 0 to 1"),
        ({"challenge": "cooking", "rooms": 7}, r"rooms must be one of \[1, 6, 9, 12\]"),
        ({"challenge": "cooking", "skills": "cook+cutt"}, "Did you mean 'cut'"),
        ({"layouts": 0}, "layouts must be"),
        ({"games": 3}, "games must be the path of a file or directory, got 3"),
        ({"steps": 0}, "steps must be"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(BadOptionError, match=message):
        make(**settings)


def test_a_game_can_be_brought_in_three_forms(game_files, tmp_path):
    story, facts = game_files
    expected = make()
    start = expected.reset(options={"task": expected.unwrapped.tasks("train")[0]})[0]
    for folder, suffixes in (("both", (".z8", ".json")), ("facts", (".json",)), ("glulx", (".json", ".ulx"))):
        (tmp_path / folder).mkdir()
        for suffix in suffixes:
            shutil.copy(facts if suffix == ".json" else story, tmp_path / folder / f"mine{suffix}")
        env = make(games=tmp_path / folder)
        assert env.unwrapped.splits == ("all",)
        observation, info = env.reset(seed=0)
        assert observation == start
        assert (info[keys.TASK], info[keys.SPLIT], info[keys.SOURCE]) == ("all/mine", "all", "file")
        assert play_expert(env)[1][keys.SUCCESS] is True
    assert make(games=tmp_path / "both" / "mine.z8").unwrapped.tasks("all") == ("all/mine",)


def test_folders_make_splits(game_files, tmp_path):
    for name in ("train/a", "train/more/b", "test/c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        for file in game_files:
            shutil.copy(file, tmp_path / f"{name}{file.suffix}")
    env = make(games=tmp_path).unwrapped
    assert env.splits == ("test", "train")
    assert env.tasks("train") == ("train/a", "train/more/b")
    with pytest.raises(UnknownTaskError, match="Did you mean 'train/more/b'"):
        env.reset(options={"task": "train/more/d"})
    shutil.copy(game_files[1], tmp_path / "loose.json")
    with pytest.raises(GameFileError, match="all/loose beside such folders"):
        make(games=tmp_path)


def test_bad_files_get_clear_errors(game_files, tmp_path):
    story, facts = game_files
    content, table = story.read_bytes(), json.loads(facts.read_text(encoding="utf-8"))
    damaged = bytearray(content)
    damaged[5000] ^= 1
    places = {
        fact["arguments"][0]["name"]: fact["arguments"][1]["name"] for fact in table["world"] if fact["name"] == "at"
    }
    at = places["P"]
    elsewhere = table | {
        "infos": [[name, about | {"name": "elsewhere"} if name == at else about] for name, about in table["infos"]]
    }
    nobody = table | {"world": [fact for fact in table["world"] if fact["name"] != "at"]}
    unsound = table | {"world": [["no", "such", "fact"]]}
    cases = {
        "cut": ({".z8": content[:1000], ".json": facts.read_bytes()}, GameFileError, "it is cut off"),
        "damaged": ({".z8": bytes(damaged), ".json": facts.read_bytes()}, GameFileError, "its checksum is wrong"),
        "elsewhere": (
            {".z8": content, ".json": json.dumps(elsewhere).encode()},
            GameFileError,
            r"elsewhere\.z8: expected the story of the game in elsewhere\.json, which begins in the place 'elsewhere'",
        ),
        "nobody": ({".z8": content, ".json": json.dumps(nobody).encode()}, GameFileError, "expected a game"),
        "empty": ({".z8": b"", ".json": facts.read_bytes()}, GameFileError, "got 0 bytes of another kind"),
        "alone": ({".z8": content}, GameFileError, "beside it in alone.json"),
        "glulx": ({".ulx": b"Glul"}, UnsupportedGameError, "plays no Glulx files .* put glulx.json"),
        "words": ({".json": b"once upon a time"}, GameFileError, "expected JSON"),
        "deep": ({".json": b"[" * 100_000}, GameFileError, "expected JSON"),
        "list": ({".json": b"[1]"}, GameFileError, "missing: no table"),
        "other": ({".json": b'{"world": []}'}, GameFileError, r"missing: \['KB', 'infos', 'quests'\]"),
        "unsound": ({".json": json.dumps(unsound).encode()}, GameFileError, "unsound.json: expected a game"),
        "unsound too": ({".z8": content, ".json": json.dumps(unsound).encode()}, GameFileError, "expected a game"),
    }
    for name, (files, error, message) in cases.items():
        (tmp_path / name).mkdir()
        for suffix, data in files.items():
            (tmp_path / name / f"{name}{suffix}").write_bytes(data)
        env = make(games=tmp_path / name)
        with pytest.raises(error, match=message):
            env.reset(seed=0)
    with pytest.raises(DataNotFoundError, match="there is nothing"):
        make(games=tmp_path / "nowhere")
    (tmp_path / "none").mkdir()
    with pytest.raises(DataNotFoundError, match="got none"):
        make(games=tmp_path / "none")
    (tmp_path / "story.txt").write_text("x")
    with pytest.raises(GameFileError, match="ends in one of"):
        make(games=tmp_path / "story.txt")


IN_THREADS = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
import gymnasium, agent_gym

def start(settings):
    env = gymnasium.make("AgentGym/TextWorld-v0", **settings)
    return env.reset(options={"task": env.unwrapped.tasks("train")[0]})[0]

with ThreadPoolExecutor(4) as threads:
    print(json.dumps(list(threads.map(start, json.loads(sys.argv[1])))))
"""


def test_games_that_are_loaded_in_threads_are_what_they_are_alone(root):
    """In a fresh process, since what the engine has parsed once it does not parse again."""
    settings = [{}, HUNT, COOKING, COOKING | {"rooms": 1}]
    envs = [make(**one) for one in settings]
    alone = [env.reset(options={"task": env.unwrapped.tasks("train")[0]})[0] for env in envs]
    asked = [sys.executable, "-c", IN_THREADS, json.dumps(settings)]
    done = subprocess.run(asked, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == alone


def test_a_game_is_the_same_whoever_makes_it_and_a_maker_that_is_killed_is_replaced(tmp_path):
    """Fail events of a recipe stand in sets, whose order another process would otherwise have otherwise."""
    env = make(**COOKING)
    env.reset(options={"task": env.unwrapped.tasks("train")[0]})
    kind, maker = kind_of("cooking", **KINDS | {"rooms": 6, "skills": "cook+cut+open"}), Maker()
    with pytest.raises(GameFileError, match="KeyError"):
        maker.make({"challenge": "chess", "settings": {}, "seed": 0}, tmp_path)
    assert maker._process is not None
    maker._process.kill()
    maker._process.wait()
    maker.make(kind.request("train", 0, 0), tmp_path)
    maker._end()
    cached = env.unwrapped.player.game.path.story.with_suffix(".json")
    assert (tmp_path / "game.json").read_bytes() == cached.read_bytes()


def test_a_game_whose_worker_is_killed_goes_on_in_another():
    here: Any = make_llm_vec(ID, 2, context="step").slots
    there: Any = make_llm_vec(ID, 2, context="step", workers=1).slots
    task = make().unwrapped.tasks("train")[0]
    frames = [slots.start([0, 1], [task] * 2, [0, 0]) for slots in (here, there)]
    [way] = [word for word in frames[0][0].info[keys.ADMISSIBLE_ACTIONS] if word.startswith("go ")]
    answers = [f"<action>{word}</action>" for word in (way, "look")]
    frames += [slots.step([0, 1], answers) for slots in (here, there)]
    [killed] = there.processes
    os.kill(killed, signal.SIGKILL)
    frames += [slots.step([0, 1], answers[::-1]) for slots in (here, there)]
    assert there.processes != (killed,)
    assert frames[::2] == frames[1::2]
    there.close()


def test_without_the_engine_the_command_that_installs_it_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'agent-gym\[textworld\]'"):
        Maker().make({}, tmp_path)


@pytest.mark.parametrize("name", ["textworld-v0-cooking"])
def test_the_transcript_on_the_page_is_that_of_the_golden_playthrough(root, name):
    frames = json.loads((root / "tests" / "golden" / f"{name}.json").read_text(encoding="utf-8"))["frames"]
    shown = [frames[0]["observation"], *(f"> {frame['command']}\n{frame['observation']}" for frame in frames[1:])]
    page = (root / "docs" / "textworld.md").read_text(encoding="utf-8")
    assert "\n".join(shown[:6]) + "\n" in page
