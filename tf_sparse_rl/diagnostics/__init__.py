"""Diagnostics of networks in training; they do not affect training."""
