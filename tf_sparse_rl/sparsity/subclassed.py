"""Subclassed models: layers in their attributes, and files of sparse ones.

The config of a model of the user's own knows of no masks. So its sparse copy is
of a class made from the user's, and is saved as that class with the layers that
stand in its attributes.
"""

import functools

import tensorflow as tf

from tf_sparse_rl.sparsity import building


def items(value):
  """(key, item) of a list or dict; nothing of another value."""
  if isinstance(value, dict):
    return list(value.items())
  return list(enumerate(value)) if isinstance(value, (list, tuple)) else []


def attributes(model):
  """{attribute: layer, or list or dict with layers in it} of a model."""
  # pylint: disable-next=protected-access
  names = model._trackable_children()
  found = {name: getattr(model, name, None) for name in names}
  return {name: value for name, value in found.items() if has_layers(value)}


def has_layers(value):
  """Whether a value is a layer, or a list or dict with layers in it."""
  if isinstance(value, tf.keras.metrics.Metric):
    return False
  return isinstance(value, tf.keras.layers.Layer) or any(
    has_layers(item) for _, item in items(value)
  )


def bare(model, plain, layers_of):
  """A model of a class that its config does not make: without its constructor.

  Args:
    model: a subclassed model.
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
  """Gives a copy of a model the attributes that its own constructor would.

  Args:
    copy: a model.
    model: that it is a copy of.
    layers_of: function from a layer in an attribute to that of the copy.
  """
  for name, value in vars(model).items():
    if name not in vars(copy) and name not in _of_keras():
      setattr(copy, name, _own(value, layers_of))


def _own(value, layers_of):
  """A value for another model: variables and metrics are not shared."""
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
  """Names of the attributes that Keras gives to any model in its life."""

  class Plain(tf.keras.Model):
    def call(self, inputs):
      return inputs

  model = Plain()
  model.compile('sgd', 'mse')
  building.build_by_call(model, tf.TensorSpec((1, 1)))
  return frozenset(vars(model))


def behaves_otherwise(model, kind):
  """Whether the class of a model does more than one that it is made from.

  Args:
    model: a model.
    kind: a class that its class inherits from.
  """
  mro = type(model).__mro__
  own = {name for c in mro[: mro.index(kind)] for name in vars(c)}
  own -= {'get_config', 'from_config'}
  return any(not name.startswith('__') or name == '__call__' for name in own)


class SparseModel:
  """The sparse copy of a subclassed model is this, and its own class besides.

  Keras finds the class of a saved model by module and name, those of this one.
  """

  plain_class = None  # Set in the classes that are made of it.

  def get_config(self):
    """Returns the plain model's class and config, and its layers."""
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
    """Makes a model from what `get_config` returned."""
    load = tf.keras.utils.deserialize_keras_object
    model = load(config['plain'], custom_objects)
    for name, value in config['layers'].items():
      setattr(model, name, load(value, custom_objects))
    become_sparse(model, config['plain']['config'])
    return model


def _serialized(value):
  """A layer, or a list or dict with layers in it, as Keras writes it."""
  if isinstance(value, dict):
    return {name: _serialized(item) for name, item in value.items()}
  if isinstance(value, (list, tuple)):  # Keras' own takes none in SavedModels.
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
  """Gives a subclassed model with SparseLayers the class that is saved whole.

  Args:
    model: of the user's class.
    config: what makes a plain one by `from_config`.
  """
  model.__class__ = _sparse_class(type(model))
  # pylint: disable-next=protected-access
  model._plain_config = model._no_dependency(config)


def plain(model):
  """The class and config of a subclassed model without SparseLayers."""
  if isinstance(model, SparseModel):
    return model.plain_class, model._plain_config  # pylint: disable=protected-access
  return type(model), model.get_config()
