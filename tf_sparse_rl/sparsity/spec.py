"""How one network is made sparse: `sparsify`'s arguments as one record."""

import dataclasses

from tf_sparse_rl import methods, names


@dataclasses.dataclass(frozen=True)
class SparsitySpec:
  """How the kernels of a network are made sparse; fields as in `sparsify`."""

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
    """Refuses an unknown method; one name to ignore may be a string."""
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
    """Whether a layer stays dense and does not count, by its path.

    Args:
      path: of a layer, as in 'layer' or 'model/layer'.
    """
    return any(is_within(path, name) for name in self.ignore)

  @classmethod
  def of(cls, settings, **own):
    """Takes the fields of the same name from other settings.

    Args:
      settings: an object with attributes, such as a Config.
      **own: fields with a value of their own.

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
  """Whether a path of a layer is a name, or that of something in it."""
  return f'{path}/'.startswith(f'{name}/')
