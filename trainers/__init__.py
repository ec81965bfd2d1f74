"""Optimise a language model in text environments: the data, the credit and the loop.

The package is used through its modules (`trainers.types`, `trainers.credit`, ...), so that importing it costs nothing
and never loads torch.
"""
