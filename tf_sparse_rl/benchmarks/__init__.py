"""Measurements of speed, for the command `benchmark`."""
