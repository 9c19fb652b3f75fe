"""The greedy policy as a SavedModel that needs nothing but TensorFlow."""

import dataclasses
import warnings
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_sparse_rl import files, methods
from tf_sparse_rl.agents import policies
from tf_sparse_rl.sparsity import cloning

# Name of a weight in the file of variables, by its number in _Module.
_WEIGHT = 'weights/{}/.ATTRIBUTES/VARIABLE_VALUE'


@dataclasses.dataclass(frozen=True)
class GreedyPolicy:
  """Plain Keras layers, and the function from their output to an action."""

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
    """Returns a dict of `action` and `output`, that of the last layer.

    Actions are int32 `[batch]` or float32 `[batch, action_size]`.
    """
    output = observation
    for layer in self.layers:
      output = layer(output)
    return {'action': self.greedy_action(output), 'output': output}


def of_agent(agent):
  """Makes the GreedyPolicy of a `base.Agent`, with a copy of the weights."""
  return _of_layers(agent.policy_layers, agent.greedy_action, agent.env_spec)


def _of_layers(layers, greedy_action, env_spec):
  """Makes a GreedyPolicy with copies of layers."""
  shape, dtype = [env_spec.observation_size], tf.float32
  if env_spec.observation_shape:
    shape, dtype = env_spec.observation_shape, tf.uint8
  bounds = None
  if not env_spec.has_integer_actions:
    bounds = np.array([env_spec.action_low, env_spec.action_high], np.float32)
  return GreedyPolicy(
    cloning.clone(layers, _plain_in_float32),
    greedy_action,
    tf.TensorSpec([None, *shape], dtype, 'observation'),
    None if bounds is None else tuple(bounds),
    tuple(env_spec.action_counts or ()),
  )


def _plain_in_float32(layer, path):
  """Copies a layer without mask and in float32, as the exported formats."""
  plain = cloning.plain_copy(layer, path)
  return type(plain).from_config({**plain.get_config(), 'dtype': 'float32'})


def of_run(config, path, env_spec):
  """Loads the GreedyPolicy of a finished run, as Keras layers.

  The layers are those of the config and their weights are read from the
  SavedModel, whose graph is not executed.

  Args:
    config: of the run.
    path: directory of its exported policy.
    env_spec: an EnvSpec of the run's environment.

  Raises:
    ValueError: if there is no policy, or it is damaged or does not fit the
      config.
  """
  if methods.is_own(config.method):
    # The zeros are in the weights, so masks are not needed.
    config = dataclasses.replace(config, method='static', method_kwargs='{}')
  try:
    with warnings.catch_warnings():
      # Rounding was reported when the run was trained.
      warnings.simplefilter('ignore')
      layers, greedy_action = policies.build(config, env_spec)
  except ValueError as error:
    raise ValueError(f'{path.with_name("config.json")}: {error}') from error
  policy = _of_layers(layers, greedy_action, env_spec)
  variables = [v for layer in policy.layers for v in layer.weights]
  for variable, weight in zip(variables, _read_weights(path, variables)):
    variable.assign(weight)
  return policy


def _read_weights(path, variables):
  """Reads the weights of a SavedModel of `save`, to fit variables."""
  files.check_for_tensorflow(path)
  prefix = path / 'variables' / 'variables'
  index = prefix.with_suffix('.index')
  if not index.exists():
    raise ValueError(f'Expected an exported policy in {path}. Received none.')
  try:
    for file in (index, *prefix.parent.glob(f'{prefix.name}.data-*')):
      files.open_to_read(file).close()
    reader = tf.train.load_checkpoint(str(prefix))
    shapes = reader.get_variable_to_shape_map()
    names = [_WEIGHT.format(i) for i in range(len(shapes))]
    received = [tuple(shapes[name]) for name in names if name in shapes]
    expected = [tuple(v.shape) for v in variables]
    if expected != received:
      raise ValueError(
        f'Expected a policy in {path} with weights of the shapes {expected}, '
        f'as its config.json says. Received: {received}.'
      )
    weights = [
      reader.get_tensor(_WEIGHT.format(i)) for i in range(len(expected))
    ]
  except (tf.errors.OpError, RuntimeError, LookupError, OSError) as error:
    raise ValueError(
      f'Expected an exported policy. Received: {prefix.parent}, damaged: '
      f'{str(error).splitlines()[0]}.'
    ) from error
  for weight, variable in zip(weights, variables):
    dtype = variable.dtype.as_numpy_dtype
    if weight.dtype != dtype or not np.isfinite(weight).all():
      raise ValueError(
        f'Expected finite weights, {variable.dtype.name}. Received others in '
        f'{prefix.parent}.'
      )
  return weights


def compiled(policy):
  """Compiles a GreedyPolicy to a function of NumPy arrays; see `load`."""
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
    # Not the policy itself, or its layers would be saved.
    self.action = tf.function(
      policy.__call__,
      input_signature=[policy.observation_spec],
      autograph=False,
    )


def save(policy, path):
  """Writes a GreedyPolicy, atomically.

  Args:
    policy: a GreedyPolicy.
    path: directory of the SavedModel; replaced if it exists. Its signature
      `serving_default` maps `observation` to `action` and `output`.
  """
  module = _Module(policy)
  files.remove_leftovers(path)
  with files.replacing_directory(path) as temporary:
    tf.saved_model.save(
      module, str(temporary), signatures={'serving_default': module.action}
    )
    # TensorFlow goes on where it cannot remove it.
    files.remove_directory(temporary / 'variables' / 'variables_temp')


def load(path):
  """Loads the SavedModel of a policy. Its graph is executed: trust the file.

  Args:
    path: directory of the SavedModel.

  Returns:
    Function of observations to actions, NumPy arrays. Its attribute `model` is
    the SavedModel, with `weights` and `signatures`.
  """
  model = tf.saved_model.load(str(path))
  signature = model.signatures['serving_default']

  def act(observations):
    return signature(observation=tf.constant(observations))['action'].numpy()

  # The signature is valid only while the model is alive.
  act.model = model
  return act
