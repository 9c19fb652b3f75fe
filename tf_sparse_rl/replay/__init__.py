"""What was collected: a ring of env steps, and the layout of its rows."""
