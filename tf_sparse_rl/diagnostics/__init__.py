"""Diagnoses of networks while they train; training does not notice them."""
