"""The state of a run besides its agent, replay and environments."""

import dataclasses

import numpy as np

from tf_sparse_rl import runs, seeds
from tf_sparse_rl.training import metrics


@dataclasses.dataclass
class State:
  """The progress of a run, which the loop changes in place."""

  env_step: int  # env steps so far
  rng: np.random.Generator  # of collection and of sampling
  positions: list  # of each environment, see envs.Environment
  actions: np.ndarray | None  # the next of each; None before the first
  scalars: dict  # {tag: value} of the last train step
  episodes: metrics.Episodes
  clock: metrics.Clock
  results: list  # of Evaluation, the lines of results.jsonl
  # {tag: value} of the last diagnostics
  diagnosis: dict = dataclasses.field(default_factory=dict)
  # {network: backend} that it trained with; {} of a run of before
  backends: dict = dataclasses.field(default_factory=dict)
  # See `Summaries.masks_written`; for the first changed_fraction after a stop.
  masks_written: dict = dataclasses.field(default_factory=dict)
  num_forgotten: int = 0  # dropped env steps, from the start

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
  def from_json(cls, values, env_step, num_envs):
    """Parses the JSON of `to_json`.

    Args:
      values: of JSON types.
      env_step: of the checkpoint.
      num_envs: number of environments.

    Raises:
      ValueError: if it is not a state of this run.
    """
    saved = _Saved.from_json(values)
    if saved.env_step != env_step:
      raise ValueError(
        f'Expected env_step={env_step}. Received: {saved.env_step}'
      )
    results = [runs.Evaluation.from_json(each) for each in saved.results]
    if env_step and not results:
      raise ValueError('Expected the results of evaluations. Received none')
    if any(result.env_step > env_step for result in results):
      raise ValueError(
        f'Expected results up to env step {env_step}. Received: '
        f'{max(result.env_step for result in results)}'
      )
    _check_number('positions', saved.positions, num_envs)
    for position in saved.positions:
      _Position.from_json(position)
    _check_number('actions', saved.actions, num_envs)
    return cls(
      env_step=env_step,
      rng=_generator(saved.rng),
      positions=saved.positions,
      actions=_actions(saved.actions),
      scalars=saved.scalars,
      episodes=_episodes(saved.episodes, num_envs),
      clock=metrics.Clock(**vars(_Clock.from_json(saved.clock))),
      results=results,
      diagnosis=saved.diagnosis or {},
      backends=saved.backends or {},
      masks_written=saved.masks_written or {},
      num_forgotten=saved.num_forgotten,
    )

  def to_json(self, environments):
    """Converts state and positions to JSON types, with exact floats."""
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
      'backends': self.backends,
      'masks_written': self.masks_written,
      'num_forgotten': self.num_forgotten,
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Saved(runs.Record):
  """A State in JSON types."""

  env_step: int
  rng: dict
  positions: list[dict]
  actions: list[int] | list[float] | list[list]
  scalars: dict[str, float]
  episodes: dict
  clock: dict
  results: list[dict]
  diagnosis: dict[str, float] | None = None
  backends: dict[str, str] | None = None
  masks_written: dict[str, list[str]] | None = None
  num_forgotten: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Position(runs.Record):
  seed: int
  actions: list[int] | list[float] | list[list]
  num_env_steps: int = 0  # before these actions, to which `state` belongs


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Clock(runs.Record):
  wall_seconds: float
  trained_seconds: float
  env_steps: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Episodes(runs.Record):
  count: int
  returns: list[float]
  lengths: list[int]
  current: list[list[float]]  # return and length of each environment's


def _check_number(name, values, num_envs):
  if len(values) != num_envs:
    raise ValueError(f'Expected {num_envs} {name}. Received: {len(values)}')


def _generator(values):
  rng = np.random.default_rng()
  try:
    rng.bit_generator.state = values
  except (KeyError, TypeError, ValueError, OverflowError) as error:
    raise ValueError(
      f'Expected the state of a generator. Received: {values!r:.80}'
    ) from error
  return rng


def _actions(values):
  actions = np.array(values)
  if actions.dtype.kind not in 'if':
    raise ValueError(f'Expected actions. Received: {values!r:.80}')
  return actions.astype(np.float32 if actions.dtype.kind == 'f' else np.int32)


def _episodes(values, num_envs):
  saved = _Episodes.from_json(values)
  _check_number('current episodes', saved.current, num_envs)
  if any(len(current) != 2 for current in saved.current):
    raise ValueError(
      f'Expected a return and a length each. Received: {saved.current!r:.80}'
    )
  return metrics.Episodes.from_json(vars(saved))


def episode_seed(config, index):
  """Seed of a collection episode, by its index."""
  return seeds.derive(config.seed, seeds.Stream.EPISODE, index)
