"""Layers that follow one another, called as one."""

from tf_agents.networks import sequential

from tf_sparse_rl.sparsity import layers as layers_lib

call = layers_lib.call_in_turn


class Network(sequential.Sequential):
  """TF-Agents' Sequential network of plain layers, without state.

  Its SparseLayers in a row are computed as one stack.
  """

  def call(self, inputs, network_state=(), **kwargs):
    del kwargs  # Only networks inside would look at them.
    return call(self.layers, inputs), network_state
