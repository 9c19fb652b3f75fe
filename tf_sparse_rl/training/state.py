"""The state of a run besides its agent, replay and environments."""

import dataclasses

import numpy as np

from tf_sparse_rl import runs, seeds
from tf_sparse_rl.training import metrics


@dataclasses.dataclass
class State:
  """Where a run is. The loop changes it in place; checkpoints hold it."""

  env_step: int  # env steps so far
  rng: np.random.Generator  # of collection and of sampling
  positions: list  # of each environment, see envs.Environment
  actions: np.ndarray | None  # the next of each; None before the first
  scalars: dict  # {tag: value} of the last train step
  episodes: metrics.Episodes
  clock: metrics.Clock
  results: list  # of Evaluation, the lines of results.jsonl
  # {tag: value} of the last diagnosis
  diagnosis: dict = dataclasses.field(default_factory=dict)
  num_forgotten: int = 0  # env steps at the start that are not drawn any more

  @classmethod
  def begin(cls, config):
    """The state of a new run."""
    return cls(
      env_step=0,
      rng=seeds.generator(config.seed, seeds.Stream.COLLECTION),
      positions=[
        {'seed': episode_seed(config, i), 'actions': []}
        for i in range(config.num_envs)
      ],
      actions=None,
      scalars={},
      episodes=metrics.Episodes(config.num_envs),
      clock=metrics.Clock(),
      results=[],
    )

  @classmethod
  def from_json(cls, values):
    """The State that `to_json` wrote down."""
    rng = np.random.default_rng()
    rng.bit_generator.state = values['rng']
    actions = np.array(values['actions'])
    return cls(
      **{
        **values,
        'rng': rng,
        'actions': actions.astype(
          np.float32 if actions.dtype.kind == 'f' else np.int32
        ),
        'episodes': metrics.Episodes.from_json(values['episodes']),
        'clock': metrics.Clock(**values['clock']),
        'results': [runs.Evaluation.from_json(v) for v in values['results']],
      }
    )

  def to_json(self, environments):
    """All of it in JSON types, which keep every float, with the positions."""
    return {
      'env_step': self.env_step,
      'rng': self.rng.bit_generator.state,
      'positions': [env.position for env in environments],
      'actions': self.actions.tolist(),
      'scalars': {tag: float(value) for tag, value in self.scalars.items()},
      'episodes': self.episodes.to_json(),
      'clock': self.clock.to_json(self.env_step),
      'results': [result.to_json() for result in self.results],
      'diagnosis': self.diagnosis,
      'num_forgotten': self.num_forgotten,
    }


def episode_seed(config, index):
  """Seed of the index-th collection episode, so that it can be replayed."""
  return seeds.derive(config.seed, seeds.Stream.EPISODE, index)
