"""Between this package and others: their environments as ours, and ours as theirs. One file per library.

Foreign environments become ours under the ids `AgentGym/TextArena-v0`, `AgentGym/GEM-v0` and
`AgentGym/ReasoningGym-v0`; `trl` and `openenv` make ours what those libraries take. Nothing foreign is loaded before it
is played.
"""
