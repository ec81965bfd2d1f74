"""What is minimised: pure functions on tensors, one file per idea. Nothing is imported here, so that torch stays out.

Shapes: `_n` is over the action tokens of a micro-batch, in any order. A loss gives one value per token, and
`trainers.losses.aggregate` says how much each counts.
"""
