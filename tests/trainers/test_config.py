import dataclasses
import tomllib

import pytest

from agent_gym.errors import BadOptionError
from trainers.config import TrainConfig, config_from_table, load_config, to_toml
from trainers.credit import Gigpo, Grpo
from trainers.losses.gspo import GspoLoss
from trainers.losses.ppo import PpoLoss
from trainers.words import take_choices


def test_a_configuration_written_out_reads_back_the_same():
    config = config_from_table(
        {
            "env": {"id": "A/B-v0", "settings": {"engine": "native", "history": 3, "odd name": [1, "x"]}},
            "rollout": {"stop": ["</action>", 'a "quote"\n'], "max_turns": 7},
            "credit": {"method": "grpo", "normalise": False},
            "loss": {"dual_clip": "none"},
            "output": {"report_to": []},
        }
    )
    assert config.credit == Grpo(normalise=False)
    assert config.loss == PpoLoss(dual_clip=None)
    assert config_from_table(tomllib.loads(to_toml(config))) == config
    assert config_from_table(tomllib.loads(to_toml(TrainConfig()))) == TrainConfig()


def test_a_file_changes_only_what_it_names(tmp_path):
    base = TrainConfig(loss=PpoLoss(kl_weight=0.5), iterations=7)
    path = tmp_path / "run.toml"
    path.write_text("seed = 3\n[loss]\nclip_low = 0.1\n[credit]\ngamma = 0.9\n[learner]\nlearning_rate = 1\n")
    config = load_config(path, base)
    assert (config.seed, config.iterations) == (3, 7)
    assert config.loss == PpoLoss(kl_weight=0.5, clip_low=0.1)
    assert config.credit == Gigpo(gamma=0.9)
    assert config.learner.learning_rate == 1.0


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"rollot": {}}, "unknown key 'rollot': .* Did you mean 'rollout'?"),
        ({"rollout": {"group_sise": 4}}, "unknown key 'rollout.group_sise': .* Did you mean 'group_size'?"),
        ({"rollout": 4}, "rollout must be a table"),
        ({"rollout": {"group_size": "4"}}, "rollout.group_size must be of type int, got '4'"),
        ({"rollout": {"group_size": True}}, "rollout.group_size must be of type int, got True"),
        ({"rollout": {"group_size": 1}}, "group_size must be 2 or more"),
        ({"rollout": {"stop": "x"}}, "rollout.stop must be a list"),
        ({"rollout": {"temperature": 0}}, "temperature must be above 0"),
        ({"learner": {"betas": [0.9]}}, "learner.betas must have 2 entries"),
        ({"learner": {"learning_rate": -1.0}}, "learner: expected a learning_rate above 0"),
        ({"credit": {"method": "gigp"}}, "credit.method must be one of .* Did you mean 'gigpo'?"),
        ({"credit": {"gamma": 2.0}}, "credit: expected a gamma between 0 and 1"),
        ({"env": {"context": "stp"}}, "env.context must be one of .* Did you mean 'step'?"),
        ({"env": {"settings": 3}}, "env.settings must be a table"),
        ({"env": {"split": "a"}, "evaluation": {"split": "a"}}, "evaluation.split must differ"),
        ({"iterations": -1}, "iterations must be 0 or more"),
    ],
)
def test_a_mistake_is_named(table, message):
    with pytest.raises(BadOptionError, match=message):
        config_from_table(table)


def test_a_file_that_is_none_is_named(tmp_path):
    with pytest.raises(BadOptionError, match=r"missing\.toml"):
        load_config(tmp_path / "missing.toml")
    (tmp_path / "broken.toml").write_text("a = ")
    with pytest.raises(BadOptionError, match="expected TOML"):
        load_config(tmp_path / "broken.toml")


def test_a_group_of_one_is_allowed_where_it_has_a_return():
    config = config_from_table({"rollout": {"group_size": 1}, "credit": {"singletons": "return"}})
    assert config.rollout.group_size == 1


def test_every_field_says_what_it_is():
    from pathlib import Path

    import trainers.config

    # tyro reads the line under a field as its help; a nested table explains itself.
    source = Path(trainers.config.__file__).read_text()
    for one in dataclasses.fields(TrainConfig):
        if not dataclasses.is_dataclass(getattr(TrainConfig(), one.name)):
            assert f"    {one.name}: " in source


def test_another_kind_comes_with_its_own_defaults():
    base = TrainConfig(loss=PpoLoss(clip_low=0.1), credit=Gigpo(gamma=0.5))
    rest, config = take_choices(["--seed", "3", "loss:gspo", "credit:gigpo", "--loss.form", "token"], base)
    assert rest == ["--seed", "3", "--loss.form", "token"]
    assert config.loss == GspoLoss()
    assert config.credit == Gigpo(gamma=0.5)
    table = config_from_table({"loss": {"method": "gspo", "clip_low": 0.01}}, base).loss
    assert table == GspoLoss(clip_low=0.01)
    assert config_from_table(tomllib.loads(to_toml(config))) == config
    with pytest.raises(BadOptionError, match=r"loss: must be one of .*got 'gpso'. Did you mean 'gspo'\?"):
        take_choices(["loss:gpso"], base)
