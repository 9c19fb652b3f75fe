"""An ONNX graph, built node by node."""

import numpy as np

# Old enough for the runtimes of recent years.
_OPSET = 17
_IR_VERSION = 8


class Graph:
  """Nodes and constants of a graph, with generated names."""

  def __init__(self, observation_spec, sparse):
    """Creates a graph with one input.

    Args:
      observation_spec: TensorSpec `[None, ...]`.
      sparse: whether to store constants as sparse tensors if that is smaller.
    """
    import onnx  # Of the extra `onnx`.

    self._onnx = onnx
    self._sparse = sparse
    self._nodes, self._dense, self._sparse_ones, self._outputs = [], [], [], []
    self.input = 'observation'
    self._input_is_float = observation_spec.dtype.as_numpy_dtype == np.float32
    self._input = self._value(
      self.input,
      observation_spec.dtype.as_numpy_dtype,
      observation_spec.shape[1:].as_list(),
    )

  def add(self, kind, *inputs, **attributes):
    """Adds a node with one output; returns the output's name."""
    name = f'{kind.lower()}_{len(self._nodes)}'
    self._nodes.append(
      self._onnx.helper.make_node(kind, inputs, [name], name, **attributes)
    )
    return name

  def constant(self, array, dtype=np.float32):
    """Adds an array; returns its name."""
    name = f'constant_{len(self._dense) + len(self._sparse_ones)}'
    array = np.asarray(array, dtype)
    make = self._onnx.numpy_helper.from_array
    places = np.flatnonzero(array)
    # An index takes 8 bytes.
    stored = places.size * (8 + array.itemsize)
    if not (self._sparse and array.ndim > 1 and stored < array.nbytes):
      self._dense.append(make(np.ascontiguousarray(array), name))
      return name
    values = make(array.reshape(-1)[places], name)
    self._sparse_ones.append(
      self._onnx.helper.make_sparse_tensor(
        values, make(places.astype(np.int64), f'{name}_places'), array.shape
      )
    )
    return name

  def cast(self, value, dtype):
    """Casts a value."""
    return self.add('Cast', value, to=self._type(dtype))

  def as_float(self, value):
    """Casts the input to float32; other values have it already."""
    if value != self.input or self._input_is_float:
      return value
    return self.cast(value, np.float32)

  def columns(self, value, start, end):
    """Slices columns of a matrix."""
    bounds = (self.constant([n], np.int64) for n in (start, end, 1))
    return self.add('Slice', value, *bounds)

  def output(self, name, value, dtype, shape):
    """Adds an output of the graph; `shape` is without the batch."""
    self._nodes.append(
      self._onnx.helper.make_node('Identity', [value], [name], name)
    )
    self._outputs.append(self._value(name, dtype, shape))

  def serialized(self):
    """Returns the bytes of the model, verified by ONNX's checker."""
    helper = self._onnx.helper
    model = helper.make_model(
      helper.make_graph(
        self._nodes,
        'policy',
        [self._input],
        self._outputs,
        initializer=self._dense,
        sparse_initializer=self._sparse_ones,
      ),
      producer_name='tf_sparse_rl',
      opset_imports=[helper.make_opsetid('', _OPSET)],
      ir_version=_IR_VERSION,
    )
    self._onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)

  def _value(self, name, dtype, shape):
    return self._onnx.helper.make_tensor_value_info(
      name, self._type(dtype), ['batch', *shape]
    )

  def _type(self, dtype):
    return self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
