"""What the `benchmark` command measures."""
