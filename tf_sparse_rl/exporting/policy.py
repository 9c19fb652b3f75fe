"""The greedy policy as a SavedModel that needs nothing but TensorFlow."""

import os
import shutil

import tensorflow as tf
from google.protobuf import message
from tensorflow.core.protobuf import saved_model_pb2

from tf_sparse_rl import sparsity


class _Policy(tf.Module):
  """Owns plain variables only: no Keras or TF-Agents object is saved."""

  def __init__(self, layers, greedy_action, observation_size):
    super().__init__(name='policy')
    plain = sparsity.strip(layers)
    self.weights = [w for layer in plain for w in layer.weights]
    self._apply = self._make_function(plain, greedy_action, observation_size)

  @staticmethod
  def _make_function(layers, greedy_action, observation_size):
    observations = tf.TensorSpec(
      [None, observation_size], tf.float32, 'observation'
    )

    @tf.function(input_signature=[observations], autograph=False)
    def action(observation):
      output = observation
      for layer in layers:
        output = layer(output)
      return {'action': greedy_action(output), 'output': output}

    return action

  @property
  def action(self):
    return self._apply


def export(parts, path):
  """Writes the policy, whole or not at all.

  Args:
    parts: AgentParts.
    path: directory of the SavedModel; replaced if it exists. Its signature
      `serving_default` maps `observation`, float32 `[batch, size]`, to
      `action` and to `output`, what the network said.
  """
  [_, size] = parts.policy_layers[0].get_build_config()['input_shape']
  module = _Policy(parts.policy_layers, parts.greedy_action, size)
  temporary = path.with_name(path.name + '.tmp')
  shutil.rmtree(temporary, ignore_errors=True)
  tf.saved_model.save(
    module, str(temporary), signatures={'serving_default': module.action}
  )
  shutil.rmtree(path, ignore_errors=True)
  os.replace(temporary, path)


def load(path):
  """Loads an exported policy.

  Args:
    path: directory of the SavedModel.

  Returns:
    Function from observations, float32 `[batch, size]`, to NumPy actions.

  Raises:
    ValueError: if there is none, a damaged one, or one with operations that
      none of ours has.
  """
  if not (path / 'saved_model.pb').exists():
    raise ValueError(f'Expected an exported policy in {path}. Received none.')
  _check_operations(path)
  model = tf.saved_model.load(str(path))
  signature = model.signatures['serving_default']

  def act(observations):
    return signature(observation=tf.constant(observations))['action'].numpy()

  # The signature lives as long as the model it is of.
  act.model = model
  return act


# A SavedModel is a program: TensorFlow has operations that read and write any
# file. These are what our policies are made of, and what loads their variables.
_OPERATIONS = frozenset(
  'AddV2 ArgMax AssignVariableOp BiasAdd Const DisableCopyOnRead Identity '
  'MatMul Maximum MergeV2Checkpoints Minimum Mul NoOp Pack PartitionedCall '
  'Placeholder ReadVariableOp Relu RestoreV2 Rsqrt SaveV2 Select '
  'ShardedFilename Split StatefulPartitionedCall StaticRegexFullMatch '
  'StringJoin Sub Tanh VarHandleOp'.split()
)


def _check_operations(path):
  """Refuses a SavedModel that is no policy of ours."""
  try:
    model = saved_model_pb2.SavedModel.FromString(
      (path / 'saved_model.pb').read_bytes()
    )
  except message.DecodeError as error:
    raise ValueError(
      f'Expected an exported policy in {path}. Received a damaged one: {error}.'
    ) from error
  graphs = [meta_graph.graph_def for meta_graph in model.meta_graphs]
  nodes = [node for graph in graphs for node in graph.node]
  for graph in graphs:
    for function in graph.library.function:
      nodes.extend(function.node_def)
  unknown = sorted({node.op for node in nodes} - _OPERATIONS)
  if unknown:
    raise ValueError(
      f'Expected a policy of tf_sparse_rl in {path}. Received a program with '
      f'the operations {", ".join(unknown)}, which a policy has no use for.'
    )
