"""Shows what the paper's released SAC agent does to the masks of its critics.

It makes the agent of a clone of the paper's code, with its configuration for
HalfCheetah at a sparsity of 0.9, takes train steps on random batches and
prints the densities of masks and kernels of both critics:

    git clone https://github.com/google-research/rigl
    python docs/results/static/released_code.py --clone=rigl --method=rigl \
      --num_train_steps=60 --mask_update_period=5

It needs TF-Agents, TensorFlow Model Optimization and gin-config.
"""

import os
import sys
import types

os.environ['TF_USE_LEGACY_KERAS'] = '1'
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')  # No chatter.

import numpy as np
import tensorflow as tf
from absl import app, flags
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step, trajectory

# What the code imports and this script does not use.
_UNUSED = (
  *('google_research', 'google_research.micronet_challenge'),
  *('google_research.micronet_challenge.counting', 'reverb'),
  *('tensorflow_datasets', 'tf_agents.environments.suite_mujoco'),
)
_UNITS = (256, 256)
_BATCH = 256

_CLONE = flags.DEFINE_string('clone', 'rigl', "Clone of the paper's code.")
_METHOD = flags.DEFINE_enum('method', '', ['', 'set', 'rigl'], "'': static.")
_NUM_TRAIN_STEPS = flags.DEFINE_integer('num_train_steps', 2, 'Train steps.')
_PERIOD = flags.DEFINE_integer(
  'mask_update_period', 1000, 'Train steps between mask updates.'
)
# Initialisation, weight decay and drop fraction of table 2.
_TABLE_2 = {
  '': (False, 1e-4, 0.5),
  'set': (True, 1e-4, 0.3),
  'rigl': (True, 1e-6, 0.5),
}


def make_agent():
  """Makes the agent as `sac_train_eval.train_eval` of the clone does."""
  sys.path.insert(0, _CLONE.value)
  sys.modules.update({name: types.ModuleType(name) for name in _UNUSED})
  import tf_agents.environments

  tf_agents.environments.suite_mujoco = sys.modules[_UNUSED[-1]]
  sys.modules['google_research.micronet_challenge'].counting = None
  import gin
  from rigl.rl.tfagents import sac_train_eval

  aware, weight_decay, drop_fraction = _TABLE_2[_METHOD.value]
  for name, value in {
    'init_masks.mask_init_method': 'erdos_renyi_kernel',
    'init_masks.sparsity': 0.9,
    'init_masks.fixed_sparse_init': aware,
    'wrap_all_layers.mode': 'constant',
    'mask_updater.update_alg': _METHOD.value,
    'mask_updater.schedule_alg': 'cosine',
    'mask_updater.update_freq': _PERIOD.value,
    'mask_updater.init_drop_fraction': drop_fraction,
    'mask_updater.last_update_step': 800_000,
    'mask_updater.use_stateless': False,
  }.items():
    gin.bind_parameter(name, value)
  observation = tensor_spec.TensorSpec([17], tf.float32, 'observation')
  action = tensor_spec.BoundedTensorSpec([6], tf.float32, -1, 1, 'action')
  how = dict(
    is_sparse=True, weight_decay=weight_decay, sparse_output_layer=True
  )
  optimizers = {
    f'{name}_optimizer': tf.keras.optimizers.Adam(3e-4)
    for name in ('actor', 'critic', 'alpha')
  }
  agent = sac_train_eval.SparseSacAgent(
    time_step.time_step_spec(observation),
    action,
    actor_network=sac_train_eval.create_sequential_actor_network(
      _UNITS, action, 17, **how
    ),
    critic_network=sac_train_eval.create_sequential_critic_network(
      None, None, _UNITS, 23, **how
    ),
    **optimizers,
    target_update_tau=0.005,
    td_errors_loss_fn=tf.math.squared_difference,
    gamma=0.99,
    reward_scale_factor=0.1,
    train_step_counter=tf.Variable(0, dtype=tf.int64),
  )
  agent.initialize()
  return agent


def random_batch(rng):
  """Makes a batch of random transitions."""

  def normal(*shape):
    return tf.constant(rng.normal(size=(_BATCH, 2, *shape)), tf.float32)

  steps = tf.ones([_BATCH, 2], tf.int32)
  return trajectory.Trajectory(
    step_type=steps,
    observation=normal(17),
    action=tf.tanh(normal(6)),
    policy_info=(),
    next_step_type=steps,
    reward=normal(),
    discount=tf.ones([_BATCH, 2]),
  )


def main(argv):
  """Prints a line per layer of the critics, after some train steps."""
  del argv
  agent = make_agent()
  from rigl.rl import sparse_utils

  train, rng = tf.function(agent.train), np.random.default_rng(0)
  for _ in range(_NUM_TRAIN_STEPS.value):
    train(random_batch(rng))
  critics = [
    sparse_utils.get_all_pruning_layers(critic)
    for critic in (agent._critic_network_1, agent._critic_network_2)
  ]
  print('layer, shared, mask 1, mask 2, both masks, kernel 1, kernel 2')
  for index, layers in enumerate(zip(*critics)):
    masks = [layer.pruning_vars[0][1].numpy() for layer in layers]
    kernels = [layer.layer.kernel for layer in layers]
    shared = layers[1].pruning_vars[0][0] is kernels[0]
    active = [*masks, masks[0] * masks[1], *(k.numpy() for k in kernels)]
    densities = [f'{np.mean(values != 0):.4f}' for values in active]
    print(', '.join([str(index), str(shared), *densities]))


if __name__ == '__main__':
  app.run(main)
