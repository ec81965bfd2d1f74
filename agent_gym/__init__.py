"""Gymnasium environments for LLM agents.

Importing this package registers the `AgentGym/…` ids with Gymnasium; it never loads torch.
"""

from __future__ import annotations

from agent_gym.core import Expert, TextEnv, restore_state, save_state
from agent_gym.registration import register_all
from agent_gym.spaces import FreeText
from agent_gym.vector import Frame, LocalSlots, SlotEnv, TextVectorEnv

__all__ = [
    "Expert",
    "Frame",
    "FreeText",
    "LocalSlots",
    "SlotEnv",
    "TextEnv",
    "TextVectorEnv",
    "restore_state",
    "save_state",
]
__version__ = "0.1.0"

register_all()
