"""Random streams: every use of randomness has its own.

A stream is named here and derived from a seed by NumPy's spawn keys, so that
streams of different names or indices are independent.
"""

import enum

import numpy as np


class Stream(enum.IntEnum):
  """The random streams, with their indices in parentheses.

  Results depend on the values: append new ones.
  """

  # Of the seed of a run.
  INITIAL_WEIGHTS = 0  # ()
  NETWORK = 1  # (network): the seed of its masks
  COLLECTION = 2  # (): actions and replay sampling
  EPISODE = 3  # (episode): initial state
  EVALUATION = 4  # (env step)
  DIAGNOSIS = 5  # (env step)
  TRAIN_NOISE = 6  # (train step): actions in losses
  # Of the seed of a network, or of `sparsify`.
  MASK = 7  # (layer)
  LAYER = 8  # (layer): the seed of its mask updates
  # Of the seed of an updater.
  GROWTH = 9  # (seed of a layer): random growth, by train step
  # Of the seed of an episode.
  OBSERVATION_NOISE = 10  # ()
  # Of the seed of `evaluate`.
  FINAL_EVALUATION = 11  # ()
  FILM = 12  # (): initial state
  # Of a constant.
  MEASUREMENT = 13  # (): data of timings
  # Of the seed of a run.
  TRIAL_STEP = 14  # (): action of the check of an environment
  # Of the seed of an episode.
  NOISE_FEATURES = 15  # (): noise features
  # Of the seed of an updater.
  SPARSITY_STEP = 16  # (network): sparsities that are tried, by train step
  # Of the seed of a run.
  REDO_BATCH = 17  # (train step): what dormant units are found by
  RENEWAL = 18  # (train step, network, layer): weights that are drawn anew
  PRIORITY = 19  # (train step): transitions of a prioritized replay


def sequence(seed, stream, *indices):
  """Makes the NumPy SeedSequence of a stream.

  Args:
    seed: int of at least 0.
    stream: a Stream.
    *indices: ints of at least 0.
  """
  return np.random.SeedSequence(
    entropy=seed, spawn_key=(Stream(stream), *indices)
  )


def generator(seed, stream, *indices):
  """Makes the NumPy generator of a stream; see `sequence`."""
  return np.random.default_rng(sequence(seed, stream, *indices))


def derive(seed, stream, *indices):
  """Derives an int seed below 2**31 from a stream; see `sequence`."""
  return int(sequence(seed, stream, *indices).generate_state(1)[0] >> 1)
