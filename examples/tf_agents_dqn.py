"""TF-Agents' own DQN agent, as in its DQN tutorial, sparse with two lines."""

import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')  # No chatter.
from tf_sparse_rl import sparsity  # isort: skip, before TensorFlow.

import gymnasium as gym
import numpy as np
import tensorflow as tf
from tf_agents.agents.dqn import dqn_agent
from tf_agents.networks import sequential
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

tf.get_logger().setLevel('ERROR')  # Without TF-Agents' deprecations.

layers = [
  tf.keras.layers.Dense(100, 'relu', name='first'),
  tf.keras.layers.Dense(50, 'relu', name='second'),
  tf.keras.layers.Dense(2, name='q_values'),
]
optimizer = tf.keras.optimizers.Adam(1e-3)

# The two lines.
layers = sparsity.sparsify(layers, target_sparsity=0.8, input_shape=[None, 4])
optimizer = sparsity.SparseOptimizer(optimizer, sparsity.RigL(0.3, 100), layers)

agent = dqn_agent.DqnAgent(
  ts.time_step_spec(tf.TensorSpec([4], tf.float32)),
  tensor_spec.BoundedTensorSpec([], tf.int64, 0, 1),
  q_network=sequential.Sequential(layers, tf.TensorSpec([4])),
  optimizer=optimizer,
  target_update_period=50,
)
agent.initialize()

env, steps = gym.make('CartPole-v1'), []
observation, _ = env.reset(seed=0)
env.action_space.seed(0)
for _ in range(500):
  action = env.action_space.sample()
  following, reward, over, _, _ = env.step(action)
  steps.append((observation, action, reward, 1 - over, following))
  observation = env.reset()[0] if over else following

train, rng = tf.function(agent.train, autograph=False), np.random.default_rng(0)
for _ in range(300):
  batch = [steps[i] for i in rng.integers(len(steps), size=64)]
  before, actions, rewards, discounts, after = map(np.array, zip(*batch))
  two = [np.stack([x, x], 1) for x in (actions, rewards, discounts)]
  middle = tf.ones([64, 2], tf.int32)
  info = train(
    trajectory.Trajectory(
      *(middle, np.stack([before, after], 1), two[0], (), middle),
      *(tf.cast(x, tf.float32) for x in two[1:]),
    )
  )
print(f'loss {float(info.loss):.3f}\n{sparsity.summary(agent._q_network)}')
