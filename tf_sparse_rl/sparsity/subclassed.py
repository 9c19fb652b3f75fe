"""Subclassed models: layers in their attributes, saving of sparse copies.

The config of a subclassed model does not contain its layers. So the class of
its sparse copy is derived from the user's class and saves the layers in its
attributes too.
"""

import functools

import tensorflow as tf

from tf_sparse_rl.sparsity import building


def items(value):
  """Returns [(key, item)] of a list or dict, [] for another value."""
  if isinstance(value, dict):
    return list(value.items())
  return list(enumerate(value)) if isinstance(value, (list, tuple)) else []


def attributes(model):
  """Returns {attribute: layer, or list or dict that contains layers}."""
  # pylint: disable-next=protected-access
  names = model._trackable_children()
  found = {name: getattr(model, name, None) for name in names}
  return {name: value for name, value in found.items() if has_layers(value)}


def has_layers(value):
  """Whether a value is a layer, or a list or dict that contains layers."""
  if isinstance(value, tf.keras.metrics.Metric):
    return False
  return isinstance(value, tf.keras.layers.Layer) or any(
    has_layers(item) for _, item in items(value)
  )


def bare(model, plain, layers_of):
  """Creates a model without calling the constructor of its class.

  Args:
    model: a subclassed model whose config does not suffice to create it.
    plain: the class of the copy.
    layers_of: see `adopt`.

  Returns:
    A model that is not built.
  """
  copy = plain.__new__(plain)
  tf.keras.Model.__init__(copy, name=model.name)
  adopt(copy, model, layers_of)
  return copy


def adopt(copy, model, layers_of):
  """Copies the attributes that the constructor of a model would set.

  Args:
    copy: a model.
    model: the model that it is a copy of.
    layers_of: function from a layer in an attribute to the layer of the copy.
  """
  for name, value in vars(model).items():
    if name not in vars(copy) and name not in _of_keras():
      setattr(copy, name, _own(value, layers_of))


def _own(value, layers_of):
  """Copies a value of an attribute; variables and metrics are not shared."""
  if isinstance(value, dict):
    return {key: _own(item, layers_of) for key, item in value.items()}
  if isinstance(value, (list, tuple)):
    found = [_own(item, layers_of) for item in value]
    return tuple(found) if isinstance(value, tuple) else found
  if isinstance(value, tf.keras.metrics.Metric):
    return type(value).from_config(value.get_config())
  if isinstance(value, tf.keras.layers.Layer):
    return layers_of(value)
  if isinstance(value, tf.Variable):
    name = value.name.split(':')[0]
    return tf.Variable(value, trainable=value.trainable, name=name)
  return value


@functools.cache
def _of_keras():
  """Returns the names of attributes that Keras sets in any model."""

  class Plain(tf.keras.Model):
    def call(self, inputs):
      return inputs

  model = Plain()
  model.compile('sgd', 'mse')
  building.build_by_call(model, tf.TensorSpec((1, 1)))
  return frozenset(vars(model))


def behaves_otherwise(model, kind):
  """Whether the class of a model overrides or adds anything.

  Args:
    model: a model.
    kind: a base class of its class.
  """
  mro = type(model).__mro__
  own = {name for c in mro[: mro.index(kind)] for name in vars(c)}
  own -= {'get_config', 'from_config'}
  return any(not name.startswith('__') or name == '__call__' for name in own)


class SparseModel:
  """Base class of sparse copies of subclassed models, beside their own class.

  Keras finds the class of a saved model by the module and name of this one.
  """

  plain_class = None  # The user's class, set in derived classes.

  def get_config(self):
    """Returns the class and config of the plain model, and the layers."""
    plain = self.plain_class
    return {
      'plain': {
        'module': plain.__module__,
        'class_name': plain.__name__,
        'registered_name': tf.keras.utils.get_registered_name(plain),
        'config': self._plain_config,
      },
      'layers': {
        name: _serialized(value) for name, value in attributes(self).items()
      },
    }

  @classmethod
  def from_config(cls, config, custom_objects=None):
    """Creates a model from the result of `get_config`."""
    load = tf.keras.utils.deserialize_keras_object
    model = load(config['plain'], custom_objects)
    for name, value in config['layers'].items():
      setattr(model, name, load(value, custom_objects))
    become_sparse(model, config['plain']['config'])
    return model


def _serialized(value):
  """Serializes a layer, or a list or dict that contains layers."""
  if isinstance(value, dict):
    return {name: _serialized(item) for name, item in value.items()}
  if isinstance(value, (list, tuple)):  # Keras does not, in SavedModels.
    return [_serialized(item) for item in value]
  return tf.keras.utils.serialize_keras_object(value)


@functools.cache
def _sparse_class(plain):
  return type(
    SparseModel.__name__,
    (SparseModel, plain),
    {'__module__': __name__, 'plain_class': plain},
  )


def become_sparse(model, config):
  """Changes the class of a model with SparseLayers to one that saves them.

  Args:
    model: a model of the user's class.
    config: the config of the plain model.
  """
  model.__class__ = _sparse_class(type(model))
  # pylint: disable-next=protected-access
  model._plain_config = model._no_dependency(config)


def plain(model):
  """Returns the class and config of a subclassed model without masks."""
  if isinstance(model, SparseModel):
    return model.plain_class, model._plain_config  # pylint: disable=protected-access
  return type(model), model.get_config()
