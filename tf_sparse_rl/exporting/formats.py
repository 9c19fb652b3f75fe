"""The formats that a policy is exported to."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tf_sparse_rl.exporting import npz, npz_reader, onnx_model, tflite
from tf_sparse_rl.exporting import policy as policy_lib


@dataclasses.dataclass(frozen=True)
class Format:
  """A file format of policies.

  `save` and `save_dense` take (policy, path); formats that store zeros have no
  dense variant. `load` takes a path and returns a function of a batch of
  observations to a dict of arrays, `action` and `output`. `call` takes (path,
  observation), the latter a batch of one, and returns a function without
  arguments that computes one inference.
  """

  file_name: str
  save: Callable[..., None]
  load: Callable[..., Callable[..., dict[str, Any]]]
  call: Callable[..., Callable[[], Any]]
  save_dense: Callable[..., None] | None = None


def _load_saved_model(path):
  model = policy_lib.load(path).model

  def act(observations):
    # The signature is valid only while the model is alive.
    signature = model.signatures['serving_default']
    outputs = signature(observation=tf.constant(observations))
    return {name: value.numpy() for name, value in outputs.items()}

  return act


def _call_once(load):
  """Makes `Format.call` from `Format.load`."""

  def call(path, observation):
    return functools.partial(load(path), observation)

  return call


FORMATS = {
  'saved_model': Format(
    'policy',
    policy_lib.save,
    _load_saved_model,
    _call_once(_load_saved_model),
  ),
  'tflite': Format(
    'policy.tflite',
    tflite.save,
    tflite.load,
    tflite.one_call,
    functools.partial(tflite.save, sparse=False),
  ),
  'onnx': Format(
    'policy.onnx',
    onnx_model.save,
    onnx_model.load,
    onnx_model.one_call,
    functools.partial(onnx_model.save, sparse=False),
  ),
  'npz': Format(
    'policy.npz',
    npz.save,
    npz_reader.load,
    _call_once(npz_reader.load),
    functools.partial(npz.save, sparse=False),
  ),
}
