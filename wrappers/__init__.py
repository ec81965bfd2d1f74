"""Gymnasium wrappers that stand between a text environment and a language model.

Observations and actions stay strings; what else a wrapper has to say goes into `info`. Every wrapper works on any
`gymnasium.Env` whose observations and actions are text, and saves and restores its own state (`agent_gym.save_state`).
"""

from wrappers.make_llm_vec import LlmSettings, check_env_settings, check_text_spaces, make_llm_vec, wrap_for_llm
from wrappers.parse_action import COMMAND, ActionFormat, ParseAction, parse_answer
from wrappers.record_episodes import RecordEpisodes
from wrappers.remember_history import HISTORY, RememberHistory
from wrappers.render_prompt import Context, RenderPrompt
from wrappers.scale_reward import ScaleReward
from wrappers.state_key import StateKey, canonical_text

__all__ = [
    "COMMAND",
    "HISTORY",
    "ActionFormat",
    "Context",
    "LlmSettings",
    "ParseAction",
    "RecordEpisodes",
    "RememberHistory",
    "RenderPrompt",
    "ScaleReward",
    "StateKey",
    "canonical_text",
    "check_env_settings",
    "check_text_spaces",
    "make_llm_vec",
    "parse_answer",
    "wrap_for_llm",
]
