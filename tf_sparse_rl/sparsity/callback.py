"""`SparsityCallback`: logs sparsities in `model.fit`."""

import warnings

import tensorflow as tf

from tf_sparse_rl.native import resting
from tf_sparse_rl.sparsity import counting, masked
from tf_sparse_rl.sparsity import layers as layers_lib
from tf_sparse_rl.sparsity.optimizer import SparseOptimizer


class SparsityCallback(tf.keras.callbacks.Callback):
  """Writes sparsities to TensorBoard after each epoch and prints the summary.

  It warns if the pruning schedule ends after training, and at the end of
  training if the model misses its target sparsity by more than 0.01.

  The tags are `Sparsity/<model>/<layer>`, the fraction of zeros;
  `Params/<model>/nonzero`, the number of active kernel entries; and
  `MaskUpdate/<model>/changed_fraction`, the fraction of the active connections
  replaced or removed in the epoch. The step is the epoch, as in Keras'
  TensorBoard callback.
  """

  def __init__(self, log_dir, print_fn=print):
    """Initializes the callback.

    Args:
      log_dir: directory of the event files, created if needed; it may be that
        of Keras' TensorBoard callback.
      print_fn: function of a string, called with the table of the layers when
        training begins and when it ends.
    """
    super().__init__()
    self._log_dir = str(log_dir)
    self._print_fn = print_fn
    self._writer = None
    self._masks = None

  def on_train_begin(self, logs=None):
    """Opens the event file, prints the table and checks the schedule."""
    self._check_schedule()
    self._writer = tf.summary.create_file_writer(self._log_dir)
    self._masks = self._read_masks()
    self._print_fn(counting.summary(self.model))

  def on_epoch_end(self, epoch, logs=None):
    """Writes one value of each tag."""
    name, counts = self.model.name, counting.count(self.model)
    before, self._masks = self._masks, self._read_masks()
    with self._writer.as_default(step=epoch):
      for layer in counts:
        tf.summary.scalar(f'Sparsity/{name}/{layer.name}', layer.sparsity)
      nonzero = counting.total(counts).nonzero
      tf.summary.scalar(f'Params/{name}/nonzero', nonzero)
      changed = counting.changed_fraction(before, self._masks)
      tf.summary.scalar(f'MaskUpdate/{name}/changed_fraction', changed)

  def on_train_end(self, logs=None):
    """Closes the event file, prints the table and warns of missed targets."""
    self._writer.close()
    self._print_fn(counting.summary(self.model))
    missed = masked.missed(layers_lib.sparse_weights(self.model))
    if missed:
      warnings.warn(f'Targets of sparsity missed: {missed}.', stacklevel=2)

  def _check_schedule(self):
    optimizer = self.model.optimizer
    while isinstance(optimizer, tf.keras.mixed_precision.LossScaleOptimizer):
      optimizer = optimizer.inner_optimizer
    if not isinstance(optimizer, SparseOptimizer) or not self.params.get(
      'steps'
    ):
      return
    last = int(optimizer.iterations.numpy()) - 1
    last += self.params['steps'] * self.params['epochs']
    end = optimizer.updater.target_train_step
    if end is not None and end > last:
      warnings.warn(
        'Targets of sparsity will be missed: they are met at train step '
        f'{end}, and training ends with train step {last}.',
        stacklevel=2,
      )

  def _read_masks(self):
    return [
      resting.bits(mask)
      for layer in layers_lib.sparse_layers(self.model)
      for _, mask, _ in layer.pruning_vars
    ]
