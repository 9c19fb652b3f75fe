"""A learning rate that decays linearly to 0 over a run."""

import tensorflow as tf


class Falling:
  """Linear decay of the learning rate to 0, in one step per rollout.

  If a run is made longer, the learning rate decays from its value at the last
  rollout before to 0 at the new end.

  Attributes:
    lines: list of (first rollout, learning rate there, rollout at which it
      would be 0), one per segment.
    train_steps_of_rollout: train steps of a rollout.
  """

  def __init__(self, config):
    """Takes the Config of a run of PPO."""
    env_steps, turns = config.rollout_env_steps, config.learning_rate_turns
    self.train_steps_of_rollout = config.num_epochs * (
      env_steps // config.batch_size
    )
    ends = [n // env_steps for n in (*turns[1::2], config.num_env_steps)]
    self.lines = [(0, config.learning_rate, ends[0])]
    for env_step, end in zip(turns[::2], ends[1:]):
      begin, rate, end_before = self.lines[-1]
      turn = max(begin, env_step // env_steps - 1)
      rate *= 1 - (turn - begin) / (end_before - begin)
      self.lines.append((turn, rate, end))

  def __call__(self, train_step):
    """Returns the learning rate of a train step, a scalar tensor."""
    done = tf.cast(train_step // self.train_steps_of_rollout, tf.float32)
    rates = [
      rate * (1 - (done - begin) / (end - begin))
      for begin, rate, end in self.lines
    ]
    learning_rate = rates[0]
    for (begin, _, _), rate in zip(self.lines[1:], rates[1:]):
      learning_rate = tf.where(done < begin, learning_rate, rate)
    return learning_rate
