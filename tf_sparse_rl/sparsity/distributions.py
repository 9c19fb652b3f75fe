"""Distributes the target sparsity of a network among its layers.

Reference: Graesser et al. 2022, section 2; Mocanu et al. 2018 (Erdos-Renyi);
Evci et al. 2020, section 3 (Erdos-Renyi-Kernel).
"""

import math

import numpy as np

DISTRIBUTIONS = ('uniform', 'er', 'erk')


def num_zeros(shape, layer_sparsity):
  """Returns the number of zeros of a layer, `floor(layer_sparsity * size)`.

  Args:
    shape: shape of the kernel, a sequence of ints.
    layer_sparsity: fraction of zeros, in [0, 1].

  Returns:
    int.
  """
  return math.floor(layer_sparsity * math.prod(int(d) for d in shape))


def layer_sparsities(
  shapes, target_sparsity, distribution='erk', erk_power=1.0, custom=None
):
  """Computes the sparsity of each layer such that the network meets the target.

  Args:
    shapes: `{name: shape}` of the weight matrices, `[..., inputs, units]`.
    target_sparsity: fraction of zeros of the whole network, in [0, 1).
    distribution: 'uniform', 'er' or 'erk'.
    erk_power: exponent of the Erdos-Renyi-Kernel density; 'erk' only.
    custom: `{name: sparsity}` of layers with a given sparsity; the others
      together meet `target_sparsity`.

  Returns:
    `{name: sparsity}` in the order of `shapes`.

  Raises:
    ValueError: for a sparsity outside [0, 1), an unknown distribution or
      layer name, or no layers.
  """
  custom = dict(custom or {})
  _validate(shapes, target_sparsity, distribution, erk_power, custom)
  rest = {name: shape for name, shape in shapes.items() if name not in custom}
  if distribution == 'uniform' or target_sparsity == 0 or not rest:
    shared = {name: target_sparsity for name in rest}
  else:
    raw = raw_densities(rest, distribution, erk_power)
    shared = _erdos_renyi(rest, target_sparsity, raw)
  return {n: float(custom.get(n, shared.get(n))) for n in shapes}


def raw_densities(shapes, distribution, erk_power=1.0):
  """Returns `{name: density}` of layers, up to a common factor.

  Args:
    shapes: see `layer_sparsities`.
    distribution: see `layer_sparsities`.
    erk_power: see `layer_sparsities`.
  """
  if distribution == 'uniform':
    return dict.fromkeys(shapes, 1.0)
  power = erk_power if distribution == 'erk' else 1.0
  last = None if distribution == 'erk' else -2
  return {n: _raw_density(s[last:], power) for n, s in shapes.items()}


def _raw_density(dims, power):
  """Returns (sum of dims / product of dims) ** power."""
  dims = [int(d) for d in dims]
  return (sum(dims) / math.prod(dims)) ** power


def _erdos_renyi(shapes, target_sparsity, raw_density):
  """Scales raw densities to the budget; layers above density 1 are dense."""
  sizes = {n: math.prod(int(d) for d in s) for n, s in shapes.items()}
  zeros = {n: num_zeros(s, target_sparsity) for n, s in shapes.items()}
  dense = set()
  # Terminates: the budget is smaller than the network, so not all layers can
  # exceed density 1.
  while True:
    sparse = [n for n in shapes if n not in dense]
    # Dense layers keep all their weights; the others make up for their zeros.
    budget = sum(sizes[n] - zeros[n] for n in sparse)
    budget -= sum(zeros[n] for n in dense)
    epsilon = budget / sum(raw_density[n] * sizes[n] for n in sparse)
    highest = max(raw_density[n] for n in sparse)
    if epsilon * highest <= 1:
      return {
        n: 0.0 if n in dense else 1 - epsilon * raw_density[n] for n in shapes
      }
    dense.update(n for n in sparse if raw_density[n] == highest)


def _validate(shapes, target_sparsity, distribution, erk_power, custom):
  if not shapes:
    raise ValueError(
      'Expected at least one layer with weight matrices to make sparse. '
      'Received: none.'
    )
  if distribution not in DISTRIBUTIONS:
    raise ValueError(
      f'Expected distribution to be one of {DISTRIBUTIONS}. '
      f'Received: distribution={distribution!r}.'
    )
  if not (np.isfinite(erk_power) and erk_power > 0):
    raise ValueError(
      f'Expected erk_power > 0. Received: erk_power={erk_power}.'
    )
  for name, value in {'target_sparsity': target_sparsity, **custom}.items():
    if not 0 <= value < 1:
      raise ValueError(
        f'Expected a sparsity in [0, 1). Received: {name}={value}.'
      )
  unknown = sorted(set(custom) - set(shapes))
  if unknown:
    raise ValueError(
      f'Expected the names of custom to be among {list(shapes)}. '
      f'Received: {unknown}.'
    )
