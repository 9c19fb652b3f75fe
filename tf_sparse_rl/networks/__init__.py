"""Networks as plain lists of Keras layers; sparsity comes later."""
