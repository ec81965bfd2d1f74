"""What is minimised. One idea is one file; nothing is imported here, so that torch stays out.

    base          what a loss is given and gives back, and the settings that all losses have
    ppo           clipped ratio per token, with the dual clip and clip-higher
    gspo          clipped ratio per sample
    cispo         clipped ratio as a weight, no token silenced
    reinforce     no ratio
    aggregate     how much each token counts
    kl            divergence to a reference
    value         what a critic minimises
    importance    a sampler that differs from the learner

Shapes: `_n` is over the action tokens of a micro-batch, in row order, `_b` over its rows. A loss gives one value per
token, and `trainers.losses.aggregate` says how much each counts.
"""
