"""Random streams: every use of randomness has one of its own.

A stream is named here and derived from a seed by NumPy's spawn keys, so that
no two of them are the same, whatever their indices.
"""

import enum

import numpy as np


class Stream(enum.IntEnum):
  """The uses of randomness, each with what its indices number.

  The values are part of every result: new ones go to the end.
  """

  # Of the seed of a run.
  INITIAL_WEIGHTS = 0  # ()
  NETWORK = 1  # (network): the seed of its masks
  COLLECTION = 2  # (): actions, and draws from the replay
  EPISODE = 3  # (episode): its start
  EVALUATION = 4  # (env step)
  DIAGNOSIS = 5  # (env step)
  TRAIN_NOISE = 6  # (draw of a train step): actions in losses
  # Of the seed of a network, or of `sparsify`.
  MASK = 7  # (layer)
  LAYER = 8  # (layer): the seed of its mask updates
  # Of the seed of an updater.
  GROWTH = 9  # (seed of a layer): random growth, by train step
  # Of the seed of an episode.
  OBSERVATION_NOISE = 10  # ()
  # Of the seed of `evaluate`.
  FINAL_EVALUATION = 11  # ()
  FILM = 12  # (): the start of the episode
  # Of a constant.
  MEASUREMENT = 13  # (): data that only its timing counts of
  # Of the seed of a run.
  TRIAL_STEP = 14  # (): the action that an environment is checked with
  # Of the seed of an episode.
  NOISE_FEATURES = 15  # (): features that a wrapper adds
  # Of the seed of a run.
  REDO_BATCH = 17  # (train step): what dormant units are found by
  RENEWAL = 18  # (train step, network, layer): weights that are drawn anew


def sequence(seed, stream, *indices):
  """The NumPy SeedSequence of one use of randomness.

  Args:
    seed: int of at least 0.
    stream: a Stream.
    *indices: ints of at least 0.
  """
  return np.random.SeedSequence(
    entropy=seed, spawn_key=(Stream(stream), *indices)
  )


def generator(seed, stream, *indices):
  """The NumPy generator of one use of randomness; see `sequence`."""
  return np.random.default_rng(sequence(seed, stream, *indices))


def derive(seed, stream, *indices):
  """A seed below 2**31 for what takes an int; see `sequence`."""
  return int(sequence(seed, stream, *indices).generate_state(1)[0] >> 1)
