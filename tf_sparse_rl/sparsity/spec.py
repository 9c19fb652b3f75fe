"""`SparsitySpec`: the arguments of `sparsify` in one record."""

import dataclasses

from tf_sparse_rl import methods, names


@dataclasses.dataclass(frozen=True)
class SparsitySpec:
  """Arguments of `sparsify`; see there for the fields."""

  method: str = 'rigl'
  target_sparsity: float = 0.9
  distribution: str = 'erk'
  seed: int = 0
  erk_power: float = 1.0
  custom: dict | None = None
  sparsity_aware_init: bool = True
  block_shape: tuple[int, int] | None = None
  n_of_m: tuple[int, int] | None = None
  ignore: tuple[str, ...] = ()

  def __post_init__(self):
    """Rejects an unknown method; `ignore` may be a single string."""
    ignore = self.ignore
    ignore = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    object.__setattr__(self, 'ignore', ignore)
    if not isinstance(self.method, str):
      raise ValueError(
        'Expected the name of a method; its MaskUpdater is given to '
        f'SparseOptimizer. Received: method={self.method!r}.'
      )
    if not (self.method in methods.METHODS or methods.is_own(self.method)):
      raise ValueError(
        "Expected the name of a method, or 'module:Class'. Received: "
        f'{names.unknown("method", self.method, methods.METHODS)}'
      )

  def ignores(self, path):
    """Whether a layer is ignored.

    Args:
      path: path of the layer, such as 'layer' or 'model/layer'.
    """
    return any(is_within(path, name) for name in self.ignore)

  @classmethod
  def of(cls, settings, **own):
    """Creates a spec from attributes of the same names.

    Args:
      settings: an object with attributes, such as a Config.
      **own: values of fields that are not taken from `settings`.

    Returns:
      A SparsitySpec.
    """
    shared = {
      field.name: getattr(settings, field.name)
      for field in dataclasses.fields(cls)
      if field.name not in own and hasattr(settings, field.name)
    }
    return cls(**shared, **own)


def is_within(path, name):
  """Whether a path is the given name or inside it."""
  return f'{path}/'.startswith(f'{name}/')
