"""Set up before the first import of TensorFlow: Keras 2, two CPU devices."""

import os

os.environ['TF_USE_LEGACY_KERAS'] = '1'
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

import hypothesis  # noqa: E402
import pytest  # noqa: E402
import tensorflow as tf  # noqa: E402

from tests import forks  # noqa: E402
from tf_sparse_rl.native import backend, library  # noqa: E402

# One physical CPU as two devices, for MirroredStrategy.
tf.config.set_logical_device_configuration(
  tf.config.list_physical_devices('CPU')[0],
  [tf.config.LogicalDeviceConfiguration()] * 2,
)

# The same examples at every run, and no time limit: the first call traces.
hypothesis.settings.register_profile(
  'repeatable', deadline=None, derandomize=True, database=None, max_examples=40
)
hypothesis.settings.load_profile('repeatable')


@pytest.fixture(scope='session', autouse=True)
def native_kernels():
  """Builds the kernels before any command does, which would say so."""
  library.load()


@pytest.fixture(autouse=True)
def seeds():
  """Every test starts from the same weights."""
  tf.keras.utils.set_random_seed(0)


@pytest.fixture(scope='session')
def two_replicas():
  """A MirroredStrategy on two CPU devices.

  One for all tests: two in a process would give their collective operations
  the same keys.
  """
  return tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])


@pytest.fixture(scope='session')
def commands():
  """Runs commands in processes that need not import TensorFlow anew."""
  server = forks.Server()
  yield server
  server.close()


@pytest.fixture(autouse=True)
def backend_of_now():
  """A backend that a test sets is not that of the next."""
  before = backend.current_backend()
  yield
  backend.set_backend(before)
