import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from agent_gym.errors import MissingExtraError
from trainers.policies.base import ModelError, Request, Sampling
from trainers.policies.hf import HfPolicy, load_policy
from trainers.policies.load import LoraSettings, load_model
from trainers.policies.tiny import TinySettings, build_tiny

TEXTS = ["You arrive at shelf 1.", "take mug 1 from shelf 1"] * 5
FORMAT = {"format": "pt"}
REQUEST = Request(prompt_ids=(5, 6, 7, 8), sampling=Sampling(max_new_tokens=12), seed=3)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    settings = TinySettings(hidden_size=32, layers=2, heads=2, vocabulary=400, context=128)
    return build_tiny(tmp_path_factory.mktemp("model"), TEXTS, settings)


@pytest.fixture
def copied(directory, tmp_path):
    return shutil.copytree(directory, tmp_path / "copy")


def test_load_a_directory_answers_as_what_was_saved(directory):
    policy = load_policy(directory, dtype=torch.float32)
    assert policy.complete([REQUEST]) == load_policy(str(directory)).complete([REQUEST])
    assert policy.device.type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_load_what_is_not_there_is_named(tmp_path, copied):
    with pytest.raises(ModelError, match="there is none"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"no config\.json"):
        load_model(tmp_path)
    (copied / "tokenizer.json").unlink()
    (copied / "tokenizer_config.json").unlink()
    with pytest.raises(ModelError, match="no tokenizer"):
        load_model(copied)


def test_load_a_model_without_chat_template_is_refused(copied):
    (copied / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="chat template"):
        load_policy(copied)


def test_load_pickled_weights_are_refused_unread(copied):
    (copied / "model.safetensors").unlink()
    (copied / "pytorch_model.bin").write_bytes(b"would be unpickled")
    with pytest.raises(ModelError, match="safetensors"):
        load_model(copied)


def test_load_code_that_comes_with_a_model_is_not_run(copied, tmp_path):
    trace = tmp_path / "ran"
    (copied / "evil.py").write_text(
        f"open({str(trace)!r}, 'w').close()\nfrom transformers import LlamaForCausalLM as Evil\n"
    )
    config = json.loads((copied / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoModelForCausalLM": "evil.Evil", "AutoConfig": "evil.Evil"}}
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError):
        load_model(copied)
    assert not trace.exists()


def test_load_weights_that_lack_some_or_do_not_fit_are_refused(copied):
    weights = load_file(copied / "model.safetensors")
    gone = "model.layers.1.mlp.up_proj.weight"
    save_file({name: value for name, value in weights.items() if name != gone}, copied / "model.safetensors", FORMAT)
    with pytest.raises(ModelError, match=gone):
        load_model(copied)
    save_file(weights | {gone: torch.zeros(3, 3)}, copied / "model.safetensors", FORMAT)
    with pytest.raises(ModelError, match="copy"):
        load_model(copied)


def test_load_damaged_weights_are_named(copied):
    (copied / "model.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(ModelError, match="copy"):
        load_model(copied)


def test_load_a_fresh_adapter_changes_nothing_and_trains_only_itself(directory):
    pytest.importorskip("peft")
    before = torch.get_rng_state()
    with_adapter = load_policy(directory, lora=LoraSettings(rank=4))
    assert torch.equal(torch.get_rng_state(), before)
    assert with_adapter.complete([REQUEST]) == load_policy(directory).complete([REQUEST])
    trained = [name for name, parameter in with_adapter.model.named_parameters() if parameter.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)
    same = load_policy(directory, lora=LoraSettings(rank=4)).model.state_dict()
    assert all(torch.equal(value, same[name]) for name, value in with_adapter.model.state_dict().items())


def test_load_an_adapter_directory_brings_its_base(directory, tmp_path):
    pytest.importorskip("peft")
    policy = load_policy(directory, lora=LoraSettings(rank=4, targets=("q_proj", "v_proj")))
    with torch.no_grad():
        for name, parameter in policy.model.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.3)
    policy.model.save_pretrained(tmp_path / "adapter")
    loaded = load_policy(tmp_path / "adapter")
    assert loaded.complete([REQUEST]) == policy.complete([REQUEST])
    assert loaded.complete([REQUEST]) != load_policy(directory).complete([REQUEST])
    assert any(parameter.requires_grad for parameter in loaded.model.parameters())
    with pytest.raises(ModelError, match="adapter already"):
        load_policy(tmp_path / "adapter", lora=LoraSettings())
    # The reference of a LoRA run: the base with the adapter off.
    with loaded.model.disable_adapter():
        assert loaded.complete([REQUEST]) == load_policy(directory).complete([REQUEST])


def test_load_a_pickled_adapter_is_refused(directory, tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(directory)}))
    (tmp_path / "adapter_model.bin").write_bytes(b"would be unpickled")
    with pytest.raises(ModelError, match=r"adapter_model\.safetensors"):
        load_model(tmp_path)


def test_load_adapter_settings_that_fit_nothing_are_refused(directory):
    pytest.importorskip("peft")
    with pytest.raises(ModelError, match="no adapter can be put"):
        load_model(directory, lora=LoraSettings(targets=("nothing_proj",)))
    with pytest.raises(ModelError, match="rank"):
        load_model(directory, lora=LoraSettings(rank=0))


def test_load_lora_without_peft_names_the_extra(directory, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r"agent-gym\[train\]"):
        load_model(directory, lora=LoraSettings())


def test_load_models_whose_state_is_not_tokens_are_refused(directory):
    policy = load_policy(directory)
    model = policy.model
    model.config._attn_implementation = "flash_attention_2"
    with pytest.raises(ModelError, match="sdpa"):
        HfPolicy(model, policy.tokenizer)
    model.config._attn_implementation = "sdpa"
    model.config.layer_types = ["linear_attention", "full_attention"]
    with pytest.raises(ModelError, match="attention in every layer"):
        HfPolicy(model, policy.tokenizer)


def test_a_model_of_the_hub_that_cannot_be_reached_can_be_brought(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"`hf download nobody/nothing --local-dir DIR` gets it"):
        load_model("nobody/nothing")
