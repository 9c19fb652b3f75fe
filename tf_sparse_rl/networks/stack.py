"""Layers that follow one another, called as one."""

from tf_agents.networks import sequential


def call(layers, inputs):
  """The output of layers called in turn.

  Args:
    layers: list of built layers.
    inputs: of the first, `[batch, ...]`.

  Returns:
    Tensor `[batch, ...]`, what the last layer returns.
  """
  for layer in layers:
    inputs = layer(inputs)
  return inputs


class Network(sequential.Sequential):
  """TF-Agents' Sequential network."""
