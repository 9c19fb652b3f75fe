"""Fields of the machine: threads, devices, kernels."""

import dataclasses

from tf_sparse_rl.config.rows import OneOf, Range, Record, row

_BACKENDS = ('auto', 'masked', 'native')
_PRECISIONS = ('float32', 'mixed_bfloat16')
_TPUS = ('', 'local')
_THREADS = Range(0, 1024, 'from 0 to 1024 threads')


@dataclasses.dataclass(frozen=True)
class Machine(Record):
  """Where a run computes and how.

  On a CPU, two single-threaded operations at a time were fastest.
  """

  intra_op_threads: int = row(
    'threads of one operation; 0 leaves it open',
    _THREADS,
    default=1,
    learned=False,
  )
  inter_op_threads: int = row(
    'operations at a time; 0 leaves it open', _THREADS, default=2, learned=False
  )
  jit_compile: bool = row(
    'compile the train step with XLA', default=False, learned=False
  )
  precision: str = row(
    f'one of: {", ".join(_PRECISIONS)}; mixed: hidden layers compute in 16 '
    'bits',
    OneOf(_PRECISIONS),
    default='float32',
  )
  num_gpus: int = row(
    'GPUs that share each batch; 0 leaves it open: TensorFlow takes one, if '
    'there is one',
    Range(0, 64, 'from 0 to 64 GPUs'),
    default=0,
    learned=False,
  )
  tpu: str = row(
    'local: the TPU of this machine, whose cores share each batch',
    OneOf(_TPUS),
    default='',
    learned=False,
  )
  backend: str = row(
    'sparse layers on a CPU: masked dense matrices, native C++ kernels, or '
    'auto for the faster',
    OneOf(_BACKENDS),
    default='auto',
    learned=False,
  )

  def check(self):
    """What native kernels and several devices can do. See base class."""
    if self.jit_compile and self.backend == 'native':
      raise ValueError(
        'Expected backend=auto or masked with jit_compile: XLA cannot compile '
        'native kernels. Received: backend=native.'
      )
    if self.precision != 'float32' and self.backend == 'native':
      raise ValueError(
        'Expected backend=auto or masked with 16 bits: native kernels compute '
        f'in float32. Received: backend=native, precision={self.precision}.'
      )
    if self.num_gpus > 1 or self.tpu:
      _check_replicas(self)


def _check_replicas(config):
  """What several devices can share, and what they compile by themselves."""
  received = f'num_gpus={config.num_gpus}, tpu={config.tpu!r}'
  if config.num_gpus and config.tpu:
    raise ValueError(f'Expected num_gpus or tpu. Received: {received}.')
  if config.agent == 'ppo':
    raise ValueError(
      'Expected agent=dqn or sac with several GPUs or a TPU: ppo normalises '
      'advantages over each batch, of which each device sees a share only. '
      f'Received: agent=ppo, {received}.'
    )
  if not config.tpu and config.batch_size % config.num_gpus:
    raise ValueError(
      'Expected a batch_size that num_gpus divides. Received: '
      f'batch_size={config.batch_size}, num_gpus={config.num_gpus}.'
    )
  if config.jit_compile or config.backend == 'native':
    raise ValueError(
      'Expected jit_compile=false and backend=auto or masked with several GPUs '
      'or a TPU: an XLA program and a native kernel are each of one device, '
      'and for a TPU everything is compiled. Received: '
      f'jit_compile={str(config.jit_compile).lower()}, '
      f'backend={config.backend}, {received}.'
    )
