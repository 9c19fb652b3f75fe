"""Networks as lists of Keras layers, without masks."""
