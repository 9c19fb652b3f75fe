"""Every use of randomness has a stream of its own."""

import itertools
import pathlib
import re

import numpy as np
import pytest

from tf_sparse_rl import seeds

_INDICES = [(), (0,), (1,), (2,), (500,), (0, 0), (0, 1), (1, 0)]
_PACKAGE = pathlib.Path(seeds.__file__).parent


def _first_words(seed, stream, indices):
  rng = seeds.generator(seed, stream, *indices)
  return tuple(rng.integers(2**63, size=4).tolist())


def test_all_generators_differ():
  uses = list(itertools.product((0, 1, 2), seeds.Stream, _INDICES))
  words = {_first_words(*use) for use in uses}
  assert len(words) == len(uses) == 3 * len(seeds.Stream) * len(_INDICES)


def test_no_stream_is_that_of_a_bare_seed():
  # Gymnasium makes its generators of these.
  bare = {
    tuple(np.random.default_rng(entropy).integers(2**63, size=4).tolist())
    for entropy in ([0], [0, 0], [0, 1], [1], [1, 0])
  }
  used = {
    _first_words(seed, stream, indices)
    for seed in (0, 1)
    for stream in seeds.Stream
    for indices in _INDICES
  }
  assert not bare & used


def test_derived_seeds_differ_and_fit_into_31_bits():
  derived = [
    seeds.derive(seed, stream, index)
    for seed in (0, 2**31 - 1)
    for stream in seeds.Stream
    for index in range(50)
  ]
  assert len(set(derived)) == len(derived)
  assert all(0 <= seed < 2**31 for seed in derived)


def test_a_seed_gives_the_same_everywhere():
  rng = seeds.generator(3, seeds.Stream.COLLECTION)
  expected = np.random.Generator(
    np.random.PCG64(np.random.SeedSequence(3, spawn_key=(2,)))
  )
  assert rng.integers(1000, size=5).tolist() == (
    expected.integers(1000, size=5).tolist()
  )


def test_values_stay_as_they_are():
  # A stream that moves changes every result.
  assert [stream.name for stream in seeds.Stream] == [
    'INITIAL_WEIGHTS',
    'NETWORK',
    'COLLECTION',
    'EPISODE',
    'EVALUATION',
    'DIAGNOSIS',
    'TRAIN_NOISE',
    'MASK',
    'LAYER',
    'GROWTH',
    'OBSERVATION_NOISE',
    'FINAL_EVALUATION',
    'FILM',
    'MEASUREMENT',
    'TRIAL_STEP',
    'NOISE_FEATURES',
    'SPARSITY_STEP',
    'REDO_BATCH',
    'RENEWAL',
    'PRIORITY',
  ]
  assert [*seeds.Stream] == list(range(20))


@pytest.mark.parametrize('stream', [-1, 20, 'EPISODE'])
def test_an_unnamed_stream_is_refused(stream):
  with pytest.raises(ValueError, match='not a valid Stream'):
    seeds.generator(0, stream)


def test_every_generator_of_the_package_names_its_stream():
  made = re.compile(r'default_rng\(|SeedSequence\(|RandomState\(')
  # Two get their seed from a caller, one its whole state from a checkpoint.
  allowed = {'seeds.py', 'mask_ops.py', 'structures.py', 'state.py'}
  found = {
    path.name
    for path in _PACKAGE.rglob('*.py')
    if made.search(path.read_text('utf-8'))
  }
  assert found == allowed
  named = [
    use
    for path in _PACKAGE.rglob('*.py')
    for use in re.findall(
      r'seeds\.(?:derive|generator|sequence)\(([^()]*)', path.read_text('utf-8')
    )
  ]
  assert len(named) > 12
  assert all('seeds.Stream.' in use for use in named)
