"""What is added to vLLM's workers: they take a learner's weights from a file, and end when its process does."""

from __future__ import annotations

import os
import signal
import threading
from multiprocessing.connection import wait
from typing import Any, Final

from safetensors.torch import load_file

OWNER: Final = "AGENT_GYM_ENGINE_OWNER"
"""Name in an engine's environment under which it finds the number of the process that it works for."""


class TakesWeights:
    """Mixed into the worker class by the engine's `worker_extension_cls`; `collective_rpc` calls it by name."""

    model_runner: Any
    reload_weights: Any

    def take_weights(self, path: str) -> None:
        """Load weights, in the names and the layout of a checkpoint, over those in use.

        Args:
            path: A file in safetensors. It is mapped, so several workers read it once.
        """
        self.reload_weights(weights_iterator=load_file(path).items())
        # A head that is tied to the embedding is not loaded itself, and on a CPU it has a packed copy of the old one.
        head: Any = getattr(self.model_runner.get_model(), "lm_head", None)
        if hasattr(head, "cpu_linear"):
            head.quant_method.process_weights_after_loading(head)


def end_with(owner: int) -> None:
    """Kill this process as soon as another one has ended, however that came about.

    vLLM's processes end when they are told to. One that was killed tells nobody, and its engine would keep a GPU's
    memory for good. Where a system does not say when a process ends (it is not Linux), nothing is done.
    """
    if hasattr(os, "pidfd_open"):
        try:
            wait([os.pidfd_open(owner)])
        except ProcessLookupError:  # it has ended already
            pass
        except OSError:  # not allowed in here
            return
        os.kill(os.getpid(), signal.SIGKILL)


# vLLM imports this module in a worker before it loads the model, and calls nothing of it as early.
if os.environ.get(OWNER, str(os.getpid())) != str(os.getpid()):
    threading.Thread(target=end_with, args=(int(os.environ[OWNER]),), name="engine-owner-watch", daemon=True).start()
