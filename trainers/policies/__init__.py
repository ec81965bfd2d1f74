"""What answers prompts: language models, and scripts that stand in for them.

`base` says what a policy is and loads no deep-learning library; `hf` runs transformers models, `scripted` plays without
a model, `tiny` builds a small model from nothing.
"""
