"""`AgentGym/BabyAI-v0`: BabyAI's levels from the package minigrid, in words."""
