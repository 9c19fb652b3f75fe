"""Mask changes over a run: churn, survival, connections ever active."""

import tensorflow as tf

from tf_sparse_rl import sparsity
from tf_sparse_rl.diagnostics import base


class Diagnosis(base.Diagnosis):
  """A MaskHistory of each network."""

  needs_views = False

  def __init__(self, agent):
    self._histories = {
      name: MaskHistory(network) for name, network in agent.networks.items()
    }
    self.saved = {'mask_history': self._histories}

  def diagnose(self, views):
    del views
    return {
      f'Churn/{name}/{what}': share
      for name, history in self._histories.items()
      for what, share in history.look().items()
    }


class MaskHistory(tf.Module):
  """Earlier masks of one network, as needed for churn.

  They are variables, so that checkpoints save them. Masks are compared only
  when `look` is called: what is grown and dropped in between does not count.
  """

  def __init__(self, network):
    """Takes the current masks of a network."""
    super().__init__(name='mask_history')
    self._layers = sparsity.sparse_layers(network)
    masks = [layer.mask.numpy() > 0 for layer in self._layers]

    def remember(name):
      return [tf.Variable(mask, trainable=False, name=name) for mask in masks]

    self._before = remember('before')
    self._surviving = remember('surviving')
    self._ever = remember('ever')
    self._num_at_first = sum(int(mask.sum()) for mask in masks)

  def look(self):
    """Compares the current masks with earlier ones.

    Returns:
      `{name: fraction}`, empty for a network without sparse layers. 'changed':
      of the connections active at the previous call, those inactive now.
      'survived': of the initial connections, those active at every call.
      'ever_active': of all entries, those active at some call.
    """
    before = changed = surviving = ever = size = 0
    for layer, *past in zip(
      self._layers, self._before, self._surviving, self._ever
    ):
      now = layer.mask.numpy() > 0
      old, survivors, seen = (variable.numpy() for variable in past)
      before += old.sum()
      changed += (old & ~now).sum()
      survivors, seen = survivors & now, seen | now
      surviving += survivors.sum()
      ever += seen.sum()
      size += now.size
      for variable, value in zip(past, (now, survivors, seen)):
        variable.assign(value)
    if not size:
      return {}
    return {
      'changed': float(changed / before),
      'survived': float(surviving / self._num_at_first),
      'ever_active': float(ever / size),
    }
