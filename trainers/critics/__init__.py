"""Critics: what is still to come, as learnt from what came; for credit estimators that need values.

critic.py      V in front of every token: a head on the policy's hidden states, or a table; PPO's critic
archer.py      Q and V of whole answers, off-policy; ArCHer's critic
settings.py    what is set in `[critic]`, for both
"""
