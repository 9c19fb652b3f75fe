"""Sweeps: lists of runs, the engines that execute them, their status."""
