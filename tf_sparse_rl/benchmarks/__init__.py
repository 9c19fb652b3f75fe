"""The work that speed is measured on, ours and the peers in turn."""
