"""Configures TensorFlow for this machine, and describes it."""

import contextlib

import tensorflow as tf

from tf_sparse_rl import sparsity
from tf_sparse_rl.agents import fused
from tf_sparse_rl.native import backend, library, stacks
from tf_sparse_rl.native import fused as native_fused
from tf_sparse_rl.sparsity import layers as layers_lib
from tf_sparse_rl.training import memory


def configure(config):
  """Configures threads, devices and backend, before TensorFlow is used.

  Args:
    config: a Config.

  Returns:
    The `tf.distribute.Strategy` in whose scope the agent must be built and
    trained; the default one for a single device.

  Raises:
    ValueError: if native kernels, GPUs or a TPU are not available, or the cores
      of the TPU do not divide the batch size.
  """
  gpus = _gpus(config.num_gpus)
  may_be_fused = config.is_mlp and config.backend in ('auto', 'fused')
  if may_be_fused and config.method != 'dense':
    memory.give_back()
  # If TensorFlow is in use already, its configuration stays.
  with contextlib.suppress(RuntimeError):
    threading = tf.config.threading
    if config.intra_op_threads:
      threading.set_intra_op_parallelism_threads(config.intra_op_threads)
    if config.inter_op_threads:
      threading.set_inter_op_parallelism_threads(config.inter_op_threads)
    for gpu in gpus:
      # Several runs share a GPU in a sweep.
      tf.config.experimental.set_memory_growth(gpu, True)
  # XLA cannot compile native kernels, and they compute in float32.
  is_masked = config.jit_compile or config.precision != 'float32'
  backend.set_backend('masked' if is_masked else config.backend)
  if config.tpu:
    return _tpu(config)
  if config.num_gpus > 1:
    return tf.distribute.MirroredStrategy(
      [f'GPU:{i}' for i in range(config.num_gpus)]
    )
  return tf.distribute.get_strategy()


def _tpu(config):
  """Makes the strategy of the TPU of this machine."""
  try:
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(
      config.tpu
    )
    strategy = tf.distribute.TPUStrategy(resolver)
  except (tf.errors.OpError, ValueError, RuntimeError) as error:
    raise ValueError(
      f'Expected a TPU, as tpu={config.tpu} says. Received: TensorFlow '
      f'{tf.__version__} finds none ({str(error).split(".")[0]}). On a TPU VM '
      'start the run with launch/tpu_vm.sh, which installs TensorFlow for TPUs.'
    ) from error
  if config.batch_size % strategy.num_replicas_in_sync:
    raise ValueError(
      'Expected a batch_size that the cores of the TPU divide. Received: '
      f'batch_size={config.batch_size}, {strategy.num_replicas_in_sync} cores.'
    )
  return strategy


def _gpus(num_gpus):
  """Lists the first `num_gpus` GPUs, or for 0 all."""
  found = tf.config.list_physical_devices('GPU')
  if not num_gpus:
    return found
  if len(found) < num_gpus:
    raise ValueError(
      f'Expected GPUs, as num_gpus={num_gpus} says. Received: TensorFlow '
      f'{tf.__version__} sees {len(found)}. Use fewer; or, if nvidia-smi '
      'lists more, install the CUDA libraries, as launch/gpu.sh does.'
    )
  tf.config.set_visible_devices(found[:num_gpus], 'GPU')
  return found[:num_gpus]


def recall(known):
  """Chooses backends by the measurements of a run instead of new ones.

  Args:
    known: a runs.Machine, or None of a new run.
  """
  if known is not None:
    name = backend.current_backend()
    backend.set_backend(name, known.measurements or ())


def measurements():
  """Returns the measurements by which backends were chosen; see `describe`."""
  return backend.measurements()


def backends(described):
  """Returns `{network: backend}` of a result of `describe`."""
  return {name: each['backend'] for name, each in described['backends'].items()}


def difference(known, described, began, config):
  """Compares machine and backends with those of a run so far.

  Args:
    known: the runs.Machine that the run started on, or None.
    described: result of `describe` on this machine.
    began: `{network: backend}` of the checkpoint; {} if unknown.
    config: a Config.

  Returns:
    A message if results may differ by rounding; '' if they are the same.

  Raises:
    ValueError: if a network would get another backend and no backend is named
      in the config.
  """
  began = began or (backends(vars(known)) if known else {})
  here = backends(described)
  if began and began != here and config.backend == 'auto':
    problem = backend.current_backend() != 'masked' and library.problem()
    raise ValueError(
      f'Expected the backends that the run was trained with: {_list(began)}. '
      f'Received: {_list(here)}. {f"{problem} " if problem else ""}Continue '
      'it where there are the same, or say which it shall have from here on, '
      'as in --backend=masked: its weights will differ from those of a run '
      'that was not interrupted.'
    )
  before = known and known.instruction_set
  now = described.get('instruction_set')
  if before and now and before != now:
    return (
      f'The run began with the kernels for {before} on {known.cpu}; here they '
      f'are for {now}: sums are rounded otherwise.'
    )
  return ''


def _list(backends):
  return (
    ', '.join(f'{name} {each}' for name, each in backends.items()) or 'none'
  )


def describe(agent, is_fused=False):
  """Describes the CPU and the backends of the networks of an agent.

  Args:
    agent: a `base.Agent` whose train step has been traced.
    is_fused: `Learner.is_fused`.

  Returns:
    dict of JSON types: `cpu`; `instruction_set` of the native kernels, if they
    are used or were measured; `backends`, `{network: {backend, and if measured
    masked_ms and native_ms}}` of the networks with sparse layers, or with
    fused_ms of all networks if train steps are fused; `measurements`, if there
    are any.
  """
  chosen = {
    name: _fused(network) if is_fused else _backend(network)
    for name, network in agent.networks.items()
    if sparsity.sparse_layers(network) or is_fused
  }
  has_kernels = any(each != {'backend': 'masked'} for each in chosen.values())
  own = kernels() if has_kernels else {'cpu': library.cpu()}
  measured = measurements()
  last = {'measurements': measured} if measured else {}
  return {**own, 'backends': chosen, **last}


def kernels():
  """Returns the CPU and the instruction set of the native kernels."""
  return {'cpu': library.cpu(), 'instruction_set': library.instruction_set()}


def _fused(network):
  """The entry of a network with fused train steps; see `describe`."""
  choices = native_fused.choices_of(fused.layers_of(network))
  return {'backend': 'fused', **_sums(choices, ('masked_ms', 'fused_ms'))}


def _backend(network):
  """The entry of a network with sparse layers; see `describe`."""
  divided = [
    stack
    for row in layers_lib.rows_of(network)
    for stack in stacks.divide([layer.operand for layer in row])
  ]
  choices = [choice for stack in divided if (choice := stacks.choice_of(stack))]
  names = {'native' if choice.is_native else 'masked' for choice in choices}
  found = {'backend': ' and '.join(sorted(names)) or 'masked'}
  return {**found, **_sums(choices, ('masked_ms', 'native_ms'))}


def _sums(choices, names):
  """Sums of milliseconds over some Choices; {} if they were not measured."""
  if not choices or any(choice.masked_ms is None for choice in choices):
    return {}
  return {
    name: round(sum(getattr(choice, name) for choice in choices), 4)
    for name in names
  }


def sentence(described):
  """Formats a result of `describe` in one line."""
  parts = []
  for network, found in described['backends'].items():
    text = f'{network} {found["backend"]}'
    for name in ('fused', 'native'):
      if f'{name}_ms' in found:
        ratio = found['masked_ms'] / found[f'{name}_ms']
        text += f' ({name} {ratio:.2f} x as fast as masked)'
    parts.append(text)
  cpu = described['cpu']
  if 'instruction_set' in described:
    cpu += f', {described["instruction_set"]}'
  dense = 'TensorFlow (no sparse layers)'
  return f'Backends: {", ".join(parts) or dense}; {cpu}.'
