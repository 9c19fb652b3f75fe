"""Learner, loop, evaluation, checkpoints and summaries."""
