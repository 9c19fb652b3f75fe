"""Fields of evaluation, checkpoints and logging."""

from tf_sparse_rl import diagnoses
from tf_sparse_rl.config.presets import ByNetwork, Unless, Value
from tf_sparse_rl.config.rows import (
  COUNT,
  STEPS,
  Range,
  Record,
  SomeOf,
  record,
  row,
)

DIAGNOSTICS = tuple(diagnoses.KINDS)


@record
class Evaluation(Record):
  """Periods and lengths of evaluations, and what is logged."""

  title = 'Evaluation, checkpoints and logging'

  eval_period: int | None = row(
    'env steps between evaluations',
    COUNT,
    dqn=ByNetwork(mlp=Value(2000, 'code'), images=Value(250_000, 'code')),
    sac=Value(10_000, 'code'),
    ppo=Value(14_336, 'code: every 7 rollouts'),
  )
  num_eval_env_steps: int | None = row(
    'minimum env steps of an evaluation: new episodes start until they are '
    'reached; 0 for no minimum',
    STEPS,
    dqn=ByNetwork(
      mlp=Value(0, 'code'), images=Unless(125_000, 'num_eval_episodes', 'code')
    ),
    sac=Value(0, 'code'),
    ppo=Value(0, 'code'),
  )
  num_eval_episodes: int | None = row(
    'minimum episodes of an evaluation, played in parallel',
    Range(1, 10000, 'from 1 to 10000 episodes'),
    dqn=ByNetwork(
      mlp=Value(20, 'code'),
      images=Value(
        5, 'ours: played in parallel; 5 of the longest make 125,000 env steps'
      ),
    ),
    sac=Value(30, 'code'),
    ppo=Value(20, 'code'),
  )
  max_eval_episode_env_steps: int = row(
    'maximum env steps of an episode in an evaluation',
    COUNT,
    default=27_000,
  )
  checkpoint_period: int = row(
    'env steps between checkpoints',
    COUNT,
    default=10_000,
    learned=False,
  )
  summary_period: int = row(
    'env steps between TensorBoard summaries',
    COUNT,
    default=500,
    learned=False,
  )
  mask_images: bool = row(
    'write the masks to TensorBoard as images', default=False, learned=False
  )
  diagnostics: str = row(
    f'diagnostics to log, any of: {", ".join(DIAGNOSTICS)}',
    SomeOf(DIAGNOSTICS),
    default='',
    learned=False,
  )
  diagnostics_period: int = row(
    'env steps between diagnostics; ppo: rounded to whole rollouts',
    COUNT,
    default=5000,
    learned=False,
  )

  trackers: str = row(
    'experiment trackers that log the same scalars as TensorBoard, any of: '
    'wandb, mlflow; offline, in trackers/ of the run',
    SomeOf(('wandb', 'mlflow')),
    default='',
    learned=False,
  )

  @property
  def trackers_names(self):
    """The names in `trackers`, a tuple."""
    return tuple(filter(None, self.trackers.split(',')))

  @property
  def diagnostics_kinds(self):
    """The names in `diagnostics`, a tuple."""
    return tuple(filter(None, self.diagnostics.split(',')))
