"""TF-Agents' own SAC agent with a sparse actor and sparse critics."""

import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')  # No chatter.
from tf_sparse_rl import sparsity  # isort: skip, before TensorFlow.

import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.agents.sac import sac_agent
from tf_agents.networks import sequential
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import policy_step, trajectory
from tf_agents.trajectories import time_step as ts

tf.get_logger().setLevel('ERROR')  # Without TF-Agents' deprecations.

specs = (
  tf.TensorSpec([3], tf.float32),
  tensor_spec.BoundedTensorSpec([1], tf.float32, -1, 1),
)


def make_network(sizes, seed, spec, before, after):
  call, dense = tf.keras.layers.Lambda, tf.keras.layers.Dense
  layers = [dense(64, 'relu'), dense(64, 'relu'), dense(sizes[1])]
  shape = [None, sizes[0]]
  layers = sparsity.sparsify(layers, 'rigl', 0.8, seed=seed, input_shape=shape)
  return sequential.Sequential([call(before), *layers, call(after)], spec)


def policy(outputs):
  mean, log_std = tf.split(outputs, 2, axis=-1)
  return tfp.distributions.MultivariateNormalDiag(mean, tf.exp(log_std - 1))


def sparse_optimizer(networks):
  adam = tf.keras.optimizers.Adam(3e-4)
  return sparsity.SparseOptimizer(adam, sparsity.RigL(0.3, 50), networks)


actor = make_network((3, 2), 0, specs[0], tf.identity, policy)
join, squeeze = lambda x: tf.concat(x, -1), lambda q: tf.squeeze(q, -1)
critics = [make_network((4, 1), seed, specs, join, squeeze) for seed in (1, 2)]
agent = sac_agent.SacAgent(
  ts.time_step_spec(specs[0]),
  specs[1],
  actor_network=actor,
  critic_network=critics[0],
  critic_network_2=critics[1],
  actor_optimizer=sparse_optimizer(actor),
  critic_optimizer=sparse_optimizer(critics),
  alpha_optimizer=tf.keras.optimizers.Adam(3e-4),
)
agent.initialize()

train = tf.function(agent.train, autograph=False)
for _ in range(120):
  before, after = tf.unstack(tf.random.normal([2, 64, 3]))
  actions = tf.random.uniform([64, 1], -1, 1)
  rewards = -tf.square(actions[:, 0] - tf.tanh(before[:, 0]))
  now, following = ts.restart(before, 64), ts.transition(after, rewards)
  action = policy_step.PolicyStep(actions)
  info = train(trajectory.Transition(now, action, following))
print(f'loss {float(info.loss):.3f}\n{sparsity.summary([actor, *critics])}')
