"""The greedy policy as a SavedModel that needs nothing but TensorFlow."""

import dataclasses
import shutil
from collections.abc import Callable

import tensorflow as tf
from google.protobuf import message
from tensorflow.core.protobuf import saved_model_pb2

from tf_sparse_rl import envs, files
from tf_sparse_rl.sparsity import cloning


@dataclasses.dataclass(frozen=True)
class GreedyPolicy:
  """Plain Keras layers, and what makes an action of their output."""

  layers: list  # built, from an observation to `output`; zeros baked in
  # `output` -> actions, of tensors.
  greedy_action: Callable[[tf.Tensor], tf.Tensor]
  # float32 `[None, observation_size]`, or uint8 `[None, *observation_shape]`.
  observation_spec: tf.TensorSpec
  # (low, high), float32 `[action_size]`; None for discrete actions.
  action_bounds: tuple | None
  # Choices of each entry of an action of several integers; () for other kinds.
  action_counts: tuple = ()

  def __call__(self, observation):
    """A dict of `action` and `output`, the output of the last layer.

    Actions are int32 `[batch]` or float32 `[batch, action_size]`.
    """
    output = observation
    for layer in self.layers:
      output = layer(output)
    return {'action': self.greedy_action(output), 'output': output}


def of_agent(agent):
  """The GreedyPolicy of a `base.Agent` as it is now, with its own weights."""
  observation = agent.tf_agent.time_step_spec.observation
  actions = agent.tf_agent.action_spec
  return GreedyPolicy(
    cloning.clone(agent.policy_layers, _plain_in_float32),
    agent.greedy_action,
    tf.TensorSpec([None, *observation.shape], observation.dtype, 'observation'),
    None if actions.dtype.is_integer else (actions.minimum, actions.maximum),
    tuple(int(n) + 1 for n in actions.maximum)
    if actions.dtype.is_integer and actions.shape.rank
    else (),
  )


def _plain_in_float32(layer, path):
  """A plain copy that computes in float32, as what is compared with it does."""
  plain = cloning.plain_copy(layer, path)
  return type(plain).from_config({**plain.get_config(), 'dtype': 'float32'})


def of_run(config, path):
  """The GreedyPolicy of a finished run, as Keras layers.

  Args:
    config: of the run.
    path: directory of its exported policy.

  Raises:
    ValueError: if there is no policy, or it is not one of this config.
  """
  # Late: to load an exported policy needs no TF-Agents.
  from tf_sparse_rl.agents import registry

  weights = load(path).model.weights
  env = envs.make(config)
  policy = of_agent(registry.build(config, env.spec))
  env.close()
  variables = [v for layer in policy.layers for v in layer.weights]
  expected = [tuple(v.shape) for v in variables]
  received = [tuple(w.shape) for w in weights]
  if expected != received:
    raise ValueError(
      f'Expected a policy in {path} with weights of the shapes {expected}, as '
      f'its config.json says. Received: {received}.'
    )
  for variable, weight in zip(variables, weights):
    variable.assign(weight)
  return policy


def compiled(policy):
  """A GreedyPolicy as a function of NumPy arrays; see `load`."""
  call = tf.function(
    lambda observation: policy(observation)['action'],
    input_signature=[policy.observation_spec],
    autograph=False,
  ).get_concrete_function()
  return lambda observations: call(tf.constant(observations)).numpy()


class _Module(tf.Module):
  """Owns plain variables only: no Keras or TF-Agents object is saved."""

  def __init__(self, policy):
    super().__init__(name='policy')
    self.weights = [w for layer in policy.layers for w in layer.weights]
    # Not the policy itself, whose layers would be saved.
    self.action = tf.function(
      policy.__call__,
      input_signature=[policy.observation_spec],
      autograph=False,
    )


def save(policy, path):
  """Writes a GreedyPolicy, whole or not at all.

  Args:
    policy: a GreedyPolicy.
    path: directory of the SavedModel; replaced if it exists. Its signature
      `serving_default` maps `observation` to `action` and `output`.
  """
  module = _Module(policy)
  temporary = path.with_name(path.name + '.tmp')
  shutil.rmtree(temporary, ignore_errors=True)
  tf.saved_model.save(
    module, str(temporary), signatures={'serving_default': module.action}
  )
  files.move_over(temporary, path)


def load(path):
  """Loads an exported policy from the directory of its SavedModel.

  Returns:
    Function from observations, NumPy arrays, to NumPy actions. Its `model` is
    what was saved, `weights` and `signatures` included.

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
# file. These are what loads variables, and mathematics: what our policies and
# networks of Keras layers are made of.
_OPERATIONS = frozenset(
  'AssignVariableOp Const DisableCopyOnRead Identity IdentityN '
  'MergeV2Checkpoints NoOp PartitionedCall Placeholder ReadVariableOp '
  'ResourceGather RestoreV2 SaveV2 ShardedFilename StatefulPartitionedCall '
  'StaticRegexFullMatch StringJoin VarHandleOp '
  'Abs AddV2 ArgMax AvgPool BatchMatMulV2 BatchToSpaceND BiasAdd BroadcastTo '
  'Cast ConcatV2 Conv2D Conv2DBackpropInput Cos Cumsum DepthwiseConv2dNative '
  'DivNoNan Einsum Elu Equal Erf Erfc Exp ExpandDims Expm1 Fill FloorDiv '
  'FloorMod FusedBatchNormV3 GatherV2 Greater GreaterEqual LeakyRelu Less '
  'LessEqual Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr MatMul Max '
  'MaxPool Maximum Mean Min Minimum Mul Neg OnesLike Pack Pad PadV2 Pow Prod '
  'Range RealDiv Reciprocal Relu Relu6 Reshape ResizeNearestNeighbor Rsqrt '
  'Select SelectV2 Selu Shape Sigmoid Sign Sin Slice Softmax Softplus Softsign '
  'SpaceToBatchND Split SplitV Sqrt Square SquaredDifference Squeeze '
  'StridedSlice Sub Sum Tanh Tile Transpose Unpack ZerosLike'.split()
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
  nodes = []
  for graph in (meta_graph.graph_def for meta_graph in model.meta_graphs):
    nodes.extend(graph.node)
    for function in graph.library.function:
      nodes.extend(function.node_def)
  unknown = sorted({node.op for node in nodes} - _OPERATIONS)
  if unknown:
    raise ValueError(
      f'Expected a policy of tf_sparse_rl in {path}. Received a program with '
      f'the operations {", ".join(unknown)}, which a policy has no use for.'
    )
