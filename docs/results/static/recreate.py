"""Trains SAC with static masks and what the paper's code does to its critics.

In the released code of the paper, TF-Agents copies the first critic before it
is built, and the pruning wrappers of the copy keep masking the kernels of the
original. Each half of this is a deviation:

* intersection: the first critic's kernels are masked by the masks of both
  critics. Of two independent masks of density d, d squared is left.
* dense_critic_2: the second critic's own kernels are never masked.
* leak: as intersection, but the second critic's masks are applied only when it
  is called, after the first. What only the first's masks contain keeps one
  optimizer step while the actor's loss is computed. Train steps are not fused.

    python docs/results/static/recreate.py --root_dir=runs/static/both_0.9_0 \
      --deviations=intersection,dense_critic_2 --sparsity=0.9 --seed=0
"""

import contextlib
import csv
import dataclasses
import json
import pathlib
import sys
from unittest import mock

from absl import app, flags

import tf_sparse_rl
from tf_sparse_rl import callbacks

DEVIATIONS = ('intersection', 'dense_critic_2', 'leak')
_COLUMNS = ('run', 'env_step', 'return_mean')
_NOTE = '.deviations.json'  # Beside the directory of a run.

_ROOT_DIR = flags.DEFINE_string('root_dir', None, 'Directory of the run.')
_DEVIATIONS = flags.DEFINE_list(
  'deviations', [], f'Deviations, some of: {", ".join(DEVIATIONS)}.'
)
_SPARSITY = flags.DEFINE_float('sparsity', 0.9, 'Sparsity of each network.')
_SEED = flags.DEFINE_integer('seed', 0, 'Seed.')
_NUM_ENV_STEPS = flags.DEFINE_integer('num_env_steps', 300_000, 'Env steps.')
_FIELDS = flags.DEFINE_string(
  'fields', '{}', 'Other fields of the config, a JSON object.'
)
_INPUTS = flags.DEFINE_bool(
  'inputs', False, 'Print the inputs per unit of the first critic instead.'
)
_COLLECT = flags.DEFINE_string(
  'collect', None, 'Directory of runs, whose returns are printed as CSV.'
)


def critic_sparsities(plan, distribution, index, deviations):
  """Computes the sparsity of each layer of a critic, as the code leaves it.

  Args:
    plan: a `sizing.Plan` of the critic.
    distribution: layer-wise distribution of sparsity.
    index: of the critic, 1 or 2.
    deviations: some of DEVIATIONS.

  Returns:
    `{layer name: sparsity}`.
  """
  from tf_sparse_rl.sparsity import distributions

  sizes = [plan.inputs, *plan.units, plan.outputs]
  names = [*(f'hidden_{i}' for i in range(len(plan.units))), 'output']
  shapes = dict(zip(names, zip(sizes, sizes[1:])))
  meant = distributions.layer_sparsities(shapes, plan.sparsity, distribution)
  if index == 1 and 'intersection' in deviations:
    return {name: 1 - (1 - value) ** 2 for name, value in meant.items()}
  if index == 2 and 'dense_critic_2' in deviations:
    return dict.fromkeys(meant, 0.0)
  return meant


def leaking(second_masks):
  """Makes the class of an agent with the deviation `leak`.

  Args:
    second_masks: list of (SparseLayer of the first critic, mask of the second);
      may be filled until the agent is made.

  Returns:
    A subclass of `sac.Sac`.
  """
  from tf_sparse_rl.agents import sac

  class LeakingAgent(sac.SacAgent):
    """SacAgent whose first critic is masked again after the actor's loss."""

    def move_targets(self, masks_may_change):
      self.mask_again()
      super().move_targets(masks_may_change)

    def mask_again(self):
      """Applies the masks of the second critic to the first."""
      for layer, mask in second_masks:
        layer.kernel.assign(layer.kernel * mask)

  class LeakingSac(sac.Sac):
    """SAC with this agent, whose train steps are not fused."""

    def _make_agent(self, *args):
      with mock.patch.object(sac, 'SacAgent', LeakingAgent):
        agent = super()._make_agent(*args)
      agent.mask_again()
      return agent

  return LeakingSac


def deviating(deviations):
  """Returns a context in which agents are built with deviations.

  Args:
    deviations: some of DEVIATIONS.
  """
  from tf_sparse_rl import sparsity
  from tf_sparse_rl.agents import network_layers, registry

  build, second_masks = network_layers.of_actor_critic, []

  def build_deviating(config, env_spec, plan, index, network):
    if network == 'critic':
      if index == 2 and 'dense_critic_2' in deviations:
        plan = plan._replace(sparsity=0.0)
      found = critic_sparsities(plan, config.distribution, index, deviations)
      text = ','.join(f'{name}={value!r}' for name, value in found.items())
      config = dataclasses.replace(config, custom_sparsity=text)
    layers = build(config, env_spec, plan, index, network)
    if (network, index) == ('critic', 1) and 'leak' in deviations:
      others = sparsity.sparse_layers(build(config, env_spec, plan, 2, network))
      masks = [other.mask.numpy() for other in others]
      second_masks[:] = zip(sparsity.sparse_layers(layers), masks)
    return layers

  patches = contextlib.ExitStack()
  patches.enter_context(
    mock.patch.object(network_layers, 'of_actor_critic', build_deviating)
  )
  if 'leak' in deviations:
    agents = {'sac': leaking(second_masks)}
    patches.enter_context(mock.patch.dict(registry._AGENTS, agents))
  return patches


def train(root_dir, deviations, **fields):
  """Trains one agent, resuming from its last checkpoint; returns the Run."""
  if {'leak', 'intersection'} <= {*deviations}:
    raise ValueError('Expected intersection or leak, which contains it.')
  unknown = set(deviations) - set(DEVIATIONS)
  if unknown:
    raise ValueError(f'Expected some of {DEVIATIONS}. Received: {unknown}.')
  # A run is resumed with the deviations that it was begun with.
  noted = pathlib.Path(f'{root_dir}{_NOTE}')
  noted.parent.mkdir(parents=True, exist_ok=True)
  if noted.exists() and json.loads(noted.read_text('utf-8')) != deviations:
    raise ValueError(f'Expected the deviations in {noted}: {deviations}.')
  noted.write_text(json.dumps(deviations), 'utf-8')
  fields = {'env': 'HalfCheetah-v5', 'method': 'static', **fields}
  with deviating(deviations):
    return tf_sparse_rl.train(
      root_dir, agent='sac', callbacks=[callbacks.ProgressBar()], **fields
    )


def collect(directory, file):
  """Writes every evaluation of the runs in a directory as CSV."""
  writer = csv.writer(file, lineterminator='\n')
  writer.writerow(_COLUMNS)
  for noted in sorted(pathlib.Path(directory).glob(f'*{_NOTE}')):
    name = noted.name.removesuffix(_NOTE)
    results = pathlib.Path(directory, name, 'results.jsonl')
    for line in results.read_text('utf-8').splitlines():
      row = json.loads(line)
      writer.writerow([name, *(row[column] for column in _COLUMNS[1:])])


def print_inputs():
  """Prints the mean number of inputs per unit that the first critic keeps."""
  from tf_sparse_rl.agents import sizing

  print('distribution, sparsity, inputs per unit of each layer')
  for distribution in ('erk', 'uniform'):
    for sparsity in (0.5, 0.7, 0.8, 0.9, 0.95, 0.98):
      plan = sizing.Plan(23, (256, 256), 1, sparsity)
      found = critic_sparsities(plan, distribution, 1, ['intersection'])
      inputs = [
        f'{size * (1 - value):.2f}'
        for size, value in zip(plan.sizes, found.values())
      ]
      print(', '.join([distribution, str(sparsity), *inputs]))


def main(argv):
  """Trains, or prints what a flag asks for."""
  del argv
  if _INPUTS.value:
    print_inputs()
    return
  if _COLLECT.value:
    collect(_COLLECT.value, sys.stdout)
    return
  train(
    _ROOT_DIR.value,
    _DEVIATIONS.value,
    sparsity=_SPARSITY.value,
    seed=_SEED.value,
    num_env_steps=_NUM_ENV_STEPS.value,
    **json.loads(_FIELDS.value),
  )


if __name__ == '__main__':
  app.run(main)
