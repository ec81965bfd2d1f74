"""`AgentGym/MiniHack-v0`: MiniHack's KeyRoom and rooms, played by NetHack itself, in text."""
