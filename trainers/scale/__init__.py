"""What a run needs of GPUs, computed before there are any: `agent-gym plan`. Torch is not needed for it."""
