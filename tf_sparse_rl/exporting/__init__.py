"""What leaves a run: the exactly sparse policy."""
