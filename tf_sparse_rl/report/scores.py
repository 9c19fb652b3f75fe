"""Normalises returns and looks up those of the paper in `data/`."""

import csv
import math
import pathlib
from typing import NamedTuple

_DATA = pathlib.Path(__file__).parent / 'data'
# Env steps of the paper's runs, and the seeds behind its figures.
PAPER_ENV_STEPS = {'DQN': 100_000, 'SAC': 1_000_000, 'PPO': 1_001_472}
# The environments behind its IQMs.
PAPER_IQM_ENVS = ('Ant', 'HalfCheetah', 'Hopper', 'Humanoid', 'Walker2d')
# Environments whose returns cannot be compared with the paper's, and why.
INCOMPARABLE = {
  'CartPole-v1': 'the paper has CartPole-v0, which ends at 200',
}


class Reference(NamedTuple):
  """Returns that are normalised to 0 and 1, and their source."""

  env: str
  random: float
  reference: float
  reference_agent: str
  source: str

  def normalize(self, score):
    """Computes (score - random) / (reference - random).

    Reference: the paper's normalised scores: relative to a dense SAC agent on
    MuJoCo (where random is 0), to a human on Atari.
    """
    return (score - self.random) / (self.reference - self.random)


class PaperValue(NamedTuple):
  """A value read off a figure of the paper."""

  value: float
  ci_low: float  # NaN if not printed
  ci_high: float


def references():
  """Reads the reference scores, a list of Reference."""
  numbers = ('random', 'reference')
  return [
    Reference(**{**row, **{name: float(row[name]) for name in numbers}})
    for row in _read('reference_scores.csv')
  ]


def reference(env_name):
  """Finds the Reference of a Gymnasium id, or None."""
  by_name = {r.env: r for r in references()}
  return by_name.get(env_name) or by_name.get(base_name(env_name))


def base_name(env_name):
  """The name of an environment in the paper: 'ALE/Pong-v5' -> 'Pong'."""
  return env_name.rpartition('/')[2].partition('-')[0]


def paper_value(metric, agent, env, method, sparsity):
  """Looks up a value of the paper.

  Args:
    metric: 'return' or 'iqm'.
    agent: as in a config.
    env: name of an environment without its version; 'all' for an IQM.
    method: one of conditions.METHODS.
    sparsity: float.

  Returns:
    PaperValue, or None.
  """
  for row in _read('paper_results.csv'):
    key = (row['metric'], row['agent'], row['env'], row['method'])
    if key == (metric, agent.upper(), env, method) and math.isclose(
      float(row['sparsity']), sparsity, abs_tol=1e-9
    ):
      return PaperValue(*(float(row[k] or 'nan') for k in PaperValue._fields))
  return None


def _read(name):
  with open(_DATA / name, encoding='utf-8', newline='') as file:
    return list(csv.DictReader(file))
