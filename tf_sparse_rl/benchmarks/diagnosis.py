"""Times diagnostics, also as a fraction of training time."""

import dataclasses

from tf_sparse_rl import config as config_lib
from tf_sparse_rl.benchmarks import in_turn, training
from tf_sparse_rl.diagnostics import diagnoser
from tf_sparse_rl.training import learner


def measure(config, warmup_env_steps, calls):
  """Times each kind of diagnostics alone, and all together.

  Args:
    config: a Config.
    warmup_env_steps: see `training.measure`.
    calls: number of repetitions.

  Returns:
    Dict of JSON types: milliseconds of the diagnostics including the batch, and
    their fraction of the training time of a period.
  """
  config = dataclasses.replace(config, diagnostics='')
  speed = training.env_steps_per_sec(config, warmup_env_steps)
  env, agent, buffer, rng, _ = training.prepare(config)
  learn = learner.make(config, agent, buffer)
  milliseconds = {}
  everything = ','.join(config_lib.DIAGNOSTICS)
  for kinds in (*config_lib.DIAGNOSTICS, everything):
    diagnoses = diagnoser.Diagnoser(
      dataclasses.replace(config, diagnostics=kinds), agent
    )

    def diagnose(diagnoses=diagnoses):
      diagnoses.diagnose(learn.draw(buffer, rng))

    diagnose()  # It is compiled at the first call.
    milliseconds[kinds] = in_turn.median_ms(diagnose, calls)
  # Rollouts are diagnosed when they are full.
  period = max(config.diagnostics_period, config.env_steps_between_training)
  return {
    'agent': config.agent,
    'method': config.method,
    'env_steps_per_sec': round(speed, 1),
    'env_steps_between_diagnoses': period,
    'milliseconds': milliseconds,
    'share_of_training_time': {
      kinds: round(ms / 1000 * speed / period, 5)
      for kinds, ms in milliseconds.items()
    },
  }
