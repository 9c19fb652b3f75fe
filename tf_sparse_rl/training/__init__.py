"""Replay, the loop, evaluation and what a run writes."""
