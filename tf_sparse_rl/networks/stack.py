"""A network of layers in sequence."""

from tf_agents.networks import sequential

from tf_sparse_rl.sparsity import layers as layers_lib

call = layers_lib.call_in_turn


class Network(sequential.Sequential):
  """TF-Agents' Sequential network of plain layers, without state.

  Consecutive SparseLayers are computed as one stack.
  """

  def call(self, inputs, network_state=(), **kwargs):
    del kwargs  # For nested networks, of which there are none.
    return call(self.layers, inputs), network_state
