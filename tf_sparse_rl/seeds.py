"""Seeds derived from the run's seed, one for each use of randomness."""

import numpy as np


def derive(seed, *stream):
  """Seed of one use of randomness.

  Args:
    seed: int, of the run.
    *stream: ints that tell this use from all others.

  Returns:
    int below 2**31.
  """
  sequence = np.random.SeedSequence([seed, *stream])
  return int(sequence.generate_state(1)[0] >> 1)
