"""Fields of the machine: threads, devices, kernels."""

from tf_sparse_rl.config.rows import OneOf, Range, Record, record, row

_BACKENDS = ('auto', 'masked', 'native', 'fused')
_PRECISIONS = ('float32', 'mixed_bfloat16')
_TPUS = ('', 'local')
_THREADS = Range(0, 1024, 'from 0 to 1024 threads')


@record
class Machine(Record):
  """Devices, threads, precision and backend.

  On a CPU, two single-threaded operations at a time were fastest.
  """

  title = 'Machine'

  intra_op_threads: int = row(
    'threads used by one operation; 0 lets TensorFlow choose',
    _THREADS,
    default=1,
    learned=False,
  )
  inter_op_threads: int = row(
    'operations executed in parallel; 0 lets TensorFlow choose',
    _THREADS,
    default=2,
    learned=False,
  )
  jit_compile: bool = row(
    'compile the train step with XLA', default=False, learned=False
  )
  precision: str = row(
    f'one of: {", ".join(_PRECISIONS)}; with mixed_bfloat16 hidden layers '
    'compute in bfloat16',
    OneOf(_PRECISIONS),
    default='float32',
  )
  num_gpus: int = row(
    'GPUs for data-parallel training; 0 for one, if TensorFlow finds any',
    Range(0, 64, 'from 0 to 64 GPUs'),
    default=0,
    learned=False,
  )
  tpu: str = row(
    "'local' to train on the TPU of this machine, data-parallel over its cores",
    OneOf(_TPUS),
    default='',
    learned=False,
  )
  backend: str = row(
    'implementation of sparse layers on a CPU: masked (dense kernels times '
    'masks), native (C++ kernels), fused (native, and whole train steps of '
    'SAC, TD3, PPO and DQN with MLPs, and of DQN with the Nature CNN, in C++), '
    'or auto (the faster of masked and fused)',
    OneOf(_BACKENDS),
    default='auto',
    learned=False,
  )

  def check(self):
    """Checks that the backend fits XLA, the precision and the devices."""
    is_native = self.backend in ('native', 'fused')
    self.require(
      not (self.jit_compile and is_native),
      'backend=auto or masked with jit_compile: XLA cannot compile native '
      'kernels',
      'backend',
    )
    self.require(
      not (self.precision != 'float32' and is_native),
      'backend=auto or masked with 16 bits: native kernels compute in float32',
      *('backend', 'precision'),
    )
    if self.num_gpus <= 1 and not self.tpu:
      return
    devices = f'num_gpus={self.num_gpus}, tpu={self.tpu!r}'
    self.require(
      not (self.num_gpus and self.tpu), 'num_gpus or tpu', received=devices
    )
    self.require(
      self.agent != 'ppo',
      'agent=dqn or sac with several GPUs or a TPU: ppo normalises advantages '
      'over each batch, of which each device sees a share only',
      received=f'agent=ppo, {devices}',
    )
    self.require(
      self.tpu or self.batch_size % self.num_gpus == 0,
      'a batch_size that num_gpus divides',
      *('batch_size', 'num_gpus'),
    )
    self.require(
      not (self.jit_compile or is_native),
      'jit_compile=false and backend=auto or masked with several GPUs or a '
      'TPU: an XLA program and a native kernel are each of one device, and for '
      'a TPU everything is compiled',
      received=f'jit_compile={str(self.jit_compile).lower()}, '
      f'backend={self.backend}, {devices}',
    )
