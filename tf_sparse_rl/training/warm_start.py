"""Initializes the networks of a new run from another run: `init_from`."""

import tensorflow as tf

from tf_sparse_rl import runs, sparsity
from tf_sparse_rl.agents import registry
from tf_sparse_rl.sparsity import layers as layers_lib
from tf_sparse_rl.sparsity import optimizer_slots
from tf_sparse_rl.training import checkpoints

# Fields that say what inputs and outputs of networks mean.
_MEANINGS = 'normalize_observations', 'num_atoms', 'min_q_value', 'max_q_value'


def start(config, agent, env_spec):
  """Copies networks, and optionally optimizer slots, into an agent.

  Masks are copied where layers agree in shape, structure and number of active
  entries; otherwise the agent's own masks are applied to the weights. Train
  steps, and with them mask schedules, start at 0.

  Args:
    config: a Config with `init_from`.
    agent: a new `base.Agent`.
    env_spec: the EnvSpec of both runs' environments.

  Returns:
    dict of JSON types, for config.json: the directory, the env step of the
    checkpoint, and the networks whose masks were copied.

  Raises:
    ValueError: if there is no such run, or its networks do not fit.
    CheckpointError: if there is no such checkpoint.
  """
  path, which = config.init_source
  run_dir = runs.RunDir(path)
  other = run_dir.read_config()
  if other is None or other.agent != config.agent:
    found = 'no run' if other is None else f'a run of {other.agent}'
    raise ValueError(
      f'Expected --init_from=DIR[@best|@last|@ENV_STEP], of a run of '
      f'{config.agent}. Received: {config.init_from}, {found}.'
    )
  source = registry.build(other, env_spec)
  env_step = checkpoints.load_networks(
    run_dir.checkpoints, which, run_dir.read_results(), source.saved
  )
  _check_shapes(source, agent, path)
  _check_meaning(other, config, path)
  masks = [
    name
    for name, network in agent.networks.items()
    if _copy_network(source.networks[name], network)
  ]
  for scale, own in zip(source.scales, agent.scales, strict=True):
    _assign(own.variables, scale.variables)
  agent.initialize()
  if config.init_optimizer:
    for descent, own in zip(source.descents, agent.descents):
      _copy_slots(*descent, *own)
  return {
    'init_from': str(run_dir.path.resolve()),
    'env_step': env_step,
    'masks': masks,
  }


def sentence(origin):
  """Formats a result of `start` in one line."""
  masks = ', '.join(origin['masks']) or 'none'
  return (
    f'Starts with the networks of {origin["init_from"]} at env step '
    f'{origin["env_step"]:,}; masks taken over: {masks}.'
  )


def _check_shapes(source, agent, path):
  """Checks that the weights of the networks have equal shapes."""
  for name, network in agent.networks.items():
    there, here = (
      [tuple(w.shape) for layer in _plain_layers(x) for w in layer.weights]
      for x in (source.networks[name], network)
    )
    if there != here:
      raise ValueError(
        f'Expected a run with networks of the same shapes as --init_from. '
        f'Received: {path}, whose {name} has weights {there}, where this run '
        f'has {here}.'
      )


def _check_meaning(other, config, path):
  """Checks that networks have inputs and outputs of the same meaning."""
  for name in _MEANINGS:
    there, here = getattr(other, name), getattr(config, name)
    if there != here:
      raise ValueError(
        f'Expected a run with the same {name} as --init_from. Received: '
        f'{path}, with {there}, where this run has {here}.'
      )


def _plain_layers(network):
  leaves = layers_lib.leaf_layers(network)
  return [getattr(leaf, 'layer', leaf) for leaf in leaves]


def _copy_network(source, network):
  """Copies weights, and the masks if all fit; returns whether they did."""
  sparse = sparsity.sparse_layers(network)
  others = sparsity.sparse_layers(source)
  agree = len(sparse) == len(others) and all(map(_agree, others, sparse))
  for layer, other in zip(sparse, others if agree else ()):
    layer.mask.assign(other.mask)
  for layer, other in zip(_plain_layers(network), _plain_layers(source)):
    _assign(layer.weights, other.weights)
  return bool(sparse) and agree


def _agree(other, layer):
  """Whether the mask of a layer fits another one of its shape."""
  return (other.block_shape, other.n_of_m) == (
    *(layer.block_shape, layer.n_of_m),
  ) and bool(tf.reduce_sum(other.mask) == tf.reduce_sum(layer.mask))


def _assign(variables, values):
  """Assigns values to variables, multiplied by their masks."""
  for variable, value in zip(variables, values, strict=True):
    mask = sparsity.mask_of(variable)
    variable.assign(value if mask is None else value * mask)


def _copy_slots(source, source_owners, optimizer, owners):
  """Copies optimizer slots, and variables outside of networks."""
  columns = []
  for each, of in ((source, source_owners), (optimizer, owners)):
    variables = [
      v for owner in of for v in getattr(owner, 'trainable_variables', [owner])
    ]
    if isinstance(each, sparsity.SparseOptimizer):
      each.build(variables)
      each = each.inner_optimizer
    else:
      optimizer_slots.build(each, variables)
    columns.append((variables, optimizer_slots.find(each, variables)))
  (from_variables, from_slots), (variables, slots) = columns
  for variable, value, of_variable, values in zip(
    variables, from_variables, slots, from_slots, strict=True
  ):
    mask = sparsity.mask_of(variable)
    for slot, slot_value in zip(of_variable, values, strict=True):
      slot.assign(slot_value if mask is None else slot_value * mask)
    if any(variable is owner for owner in owners):  # SAC's temperature.
      variable.assign(value)
