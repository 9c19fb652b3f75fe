"""TF-Agents' own PPO agent with a sparse actor and a sparse value network."""

import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')  # No chatter.
from tf_sparse_rl import sparsity  # isort: skip, before TensorFlow.

import gymnasium as gym
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.agents.ppo import ppo_clip_agent
from tf_agents.networks import sequential
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

tf.get_logger().setLevel('ERROR')  # Without TF-Agents' deprecations.

spec = tf.TensorSpec([4], tf.float32)


def sparse_layers(outputs, seed):
  dense = tf.keras.layers.Dense
  layers = [dense(64, 'tanh', name='hidden'), dense(outputs, name='output')]
  shape = [None, 4]
  return sparsity.sparsify(layers, 'rigl', 0.5, seed=seed, input_shape=shape)


head = tf.keras.layers.Lambda(lambda x: tfp.distributions.Categorical(logits=x))
flatten = tf.keras.layers.Lambda(lambda value: tf.squeeze(value, axis=-1))
actor = sequential.Sequential([*sparse_layers(2, 0), head], spec)
value = sequential.Sequential([*sparse_layers(1, 1), flatten], spec)
optimizer = tf.keras.optimizers.Adam(1e-3)
updater, networks = sparsity.RigL(0.3, 20), [actor, value]
optimizer = sparsity.SparseOptimizer(optimizer, updater, networks)
agent = ppo_clip_agent.PPOClipAgent(
  ts.time_step_spec(spec),
  tensor_spec.BoundedTensorSpec([], tf.int32, 0, 1),
  optimizer=optimizer,
  actor_net=actor,
  value_net=value,
  num_epochs=4,
)
agent.initialize()

env = gym.make('CartPole-v1')
observation, _ = env.reset(seed=0)
train = tf.function(agent.train, autograph=False)
time_step = ts.restart(observation[None], batch_size=1)
act = tf.function(agent.collect_policy.action, autograph=False)
for _ in range(4):
  steps = []
  for _ in range(64):
    action = act(time_step)
    observation, reward, over, _, _ = env.step(int(action.action[0]))
    numbers = np.float32([[reward], [1 - over]])
    following = ts.TimeStep(np.int32([1 + over]), *numbers, observation[None])
    steps.append(trajectory.from_transition(time_step, action, following))
    if over:
      observation, _ = env.reset()
      following = ts.restart(observation[None], batch_size=1)
    time_step = following
  info = train(tf.nest.map_structure(lambda *x: tf.stack(x, 1), *steps))
print(f'loss {float(info.loss):.3f}\n{sparsity.summary(networks)}')
