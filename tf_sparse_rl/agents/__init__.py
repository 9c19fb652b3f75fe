"""Builders of TF-Agents agents from sparse layers and a sparse optimizer."""
