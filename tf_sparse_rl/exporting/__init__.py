"""Exports the exactly sparse policy of a run."""
