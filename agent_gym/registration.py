"""The ids that `import agent_gym` registers with Gymnasium."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

ALFWORLD = "AgentGym/ALFWorld-v0"
BABYAI = "AgentGym/BabyAI-v0"
BUSY_WORK = "AgentGym/BusyWork-v0"
CONVERSATIONAL_QA = "AgentGym/ConversationalQA-v0"
DYNAMICAL_LINEAR_BANDIT = "AgentGym/DynamicalLinearBandit-v0"
FROZEN_LAKE = "AgentGym/FrozenLake-v0"
GAME_2048 = "AgentGym/Game2048-v0"
GEM = "AgentGym/GEM-v0"
KEY_DOOR = "AgentGym/KeyDoor-v0"
MACRO_COPY = "AgentGym/MacroCopy-v0"
MINIHACK = "AgentGym/MiniHack-v0"
REASONING_GYM = "AgentGym/ReasoningGym-v0"
ROOMS = "AgentGym/Rooms-v0"
SCIENCEWORLD = "AgentGym/ScienceWorld-v0"
SEARCH_QA = "AgentGym/SearchQA-v0"
TEXT_ARENA = "AgentGym/TextArena-v0"
TEXTWORLD = "AgentGym/TextWorld-v0"
TWENTY_QUESTIONS = "AgentGym/TwentyQuestions-v0"
SOKOBAN = "AgentGym/Sokoban-v0"
WEBSHOP = "AgentGym/WebShop-v0"

_SPECS: dict[str, dict[str, Any]] = {
    ALFWORLD: {
        "entry_point": "agent_gym.envs.alfworld.env:AlfworldEnv",
        "vector_entry_point": "agent_gym.envs.alfworld.env:alfworld_vector_env",
        "max_episode_steps": 50,
    },
    BABYAI: {
        "entry_point": "agent_gym.envs.babyai.env:make_babyai",
        "vector_entry_point": "agent_gym.envs.babyai.env:babyai_vector_env",
        "max_episode_steps": 1_000_000,  # the entry point sets the level's limit
    },
    BUSY_WORK: {
        "entry_point": "agent_gym.envs.busy_work:BusyWorkEnv",
        "vector_entry_point": "agent_gym.envs.busy_work:busy_work_vector_env",
        "max_episode_steps": 12,
    },
    CONVERSATIONAL_QA: {
        "entry_point": "agent_gym.envs.search_qa.conversational:make_conversational_qa",
        "vector_entry_point": "agent_gym.envs.search_qa.conversational:conversational_qa_vector_env",
        "max_episode_steps": 1000,  # the entry point sets a limit, which a setting changes
    },
    DYNAMICAL_LINEAR_BANDIT: {
        "entry_point": "agent_gym.envs.dynamical_bandit:make_bandit",
        "vector_entry_point": "agent_gym.envs.dynamical_bandit:bandit_vector_env",
        "max_episode_steps": 10_000_000,  # the setting `horizon` ends an episode
    },
    FROZEN_LAKE: {
        "entry_point": "agent_gym.envs.frozen_lake.env:make_frozen_lake",
        "vector_entry_point": "agent_gym.envs.frozen_lake.env:frozen_lake_vector_env",
        "max_episode_steps": 100_000,  # the entry point sets a limit that fits the size
    },
    GAME_2048: {
        "entry_point": "agent_gym.envs.game2048.env:make_game_2048",
        "vector_entry_point": "agent_gym.envs.game2048.env:game_2048_vector_env",
        "max_episode_steps": 10_000_000,  # the entry point sets a limit that fits the target
    },
    GEM: {
        "entry_point": "agent_gym.adapters.gem:make_gem",
        "vector_entry_point": "agent_gym.adapters.gem:gem_vector_env",
        "max_episode_steps": 100_000,  # the entry point sets a limit, which a setting changes
    },
    KEY_DOOR: {
        "entry_point": "agent_gym.envs.key_door:KeyDoorEnv",
        "vector_entry_point": "agent_gym.envs.key_door:key_door_vector_env",
        "max_episode_steps": 100,
    },
    MACRO_COPY: {
        "entry_point": "agent_gym.envs.macro_copy:make_macro_copy",
        "vector_entry_point": "agent_gym.envs.macro_copy:macro_copy_vector_env",
        "max_episode_steps": 20_000,  # the entry point sets a limit that fits the length
    },
    MINIHACK: {
        "entry_point": "agent_gym.envs.minihack.env:make_minihack",
        "vector_entry_point": "agent_gym.envs.minihack.env:minihack_vector_env",
        "max_episode_steps": 100_000,  # the entry point sets the level's limit
    },
    REASONING_GYM: {
        "entry_point": "agent_gym.adapters.reasoning_gym:make_reasoning_gym",
        "vector_entry_point": "agent_gym.adapters.reasoning_gym:reasoning_gym_vector_env",
        "max_episode_steps": 100_000,  # the entry point sets a limit, which a setting changes
    },
    ROOMS: {
        "entry_point": "agent_gym.envs.rooms:make_rooms",
        "vector_entry_point": "agent_gym.envs.rooms:rooms_vector_env",
        "max_episode_steps": 100_000,  # the entry point sets the regime's limit
    },
    SCIENCEWORLD: {
        "entry_point": "agent_gym.envs.scienceworld.env:make_scienceworld",
        "vector_entry_point": "agent_gym.envs.scienceworld.env:scienceworld_vector_env",
        "max_episode_steps": 100_000,  # the entry point sets a limit, which a setting changes
    },
    SEARCH_QA: {
        "entry_point": "agent_gym.envs.search_qa.search_qa:make_search_qa",
        "vector_entry_point": "agent_gym.envs.search_qa.search_qa:search_qa_vector_env",
        "max_episode_steps": 1000,  # the entry point sets a limit, which a setting changes
    },
    TEXT_ARENA: {
        "entry_point": "agent_gym.adapters.textarena:make_text_arena",
        "vector_entry_point": "agent_gym.adapters.textarena:text_arena_vector_env",
        "max_episode_steps": 100_000,  # the entry point sets a limit, which a setting changes
    },
    TEXTWORLD: {
        "entry_point": "agent_gym.envs.textworld.env:make_textworld",
        "vector_entry_point": "agent_gym.envs.textworld.env:textworld_vector_env",
        "max_episode_steps": 100_000,  # the entry point sets a limit, which a setting changes
    },
    TWENTY_QUESTIONS: {
        "entry_point": "agent_gym.envs.twenty_questions:make_twenty_questions",
        "vector_entry_point": "agent_gym.envs.twenty_questions:twenty_questions_vector_env",
        "max_episode_steps": 20,
    },
    SOKOBAN: {
        "entry_point": "agent_gym.envs.sokoban.env:make_sokoban",
        "vector_entry_point": "agent_gym.envs.sokoban.env:sokoban_vector_env",
        "max_episode_steps": 100_000,  # the entry point sets a limit, which a setting changes
    },
    WEBSHOP: {
        "entry_point": "agent_gym.envs.webshop.env:WebshopEnv",
        "vector_entry_point": "agent_gym.envs.webshop.env:webshop_vector_env",
        "max_episode_steps": 15,
    },
}

IDS: tuple[str, ...] = tuple(sorted(_SPECS))
"""All ids of this package, sorted."""


def register_all() -> None:
    """Register every id; doing so twice is harmless."""
    for env_id, spec in _SPECS.items():
        if env_id not in gym.registry:
            gym.register(id=env_id, **spec)
