"""Fields of a run that takes a second."""

RUN = {
  'num_env_steps': 600,
  'initial_collect_env_steps': 100,
  'hidden_units': (32, 32),
  'batch_size': 16,
  'eval_period': 200,
  'num_eval_episodes': 3,
  'mask_update_period': 50,
  'summary_period': 100,
}
