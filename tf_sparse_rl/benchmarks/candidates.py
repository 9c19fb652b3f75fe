"""Commands that time our methods and peers on the same task."""

import pathlib
import sys

from tf_sparse_rl import config as config_lib

_SCRIPTS = pathlib.Path(__file__).parent
# Peers, and the scripts that their interpreters execute.
PEERS = {'sb3': 'peers.py', 'sbx': 'peers.py', 'rltools': 'peer_rltools.py'}


def of_methods(methods, arguments):
  """Makes `{method: command}`, lists of str, of our own training.

  Args:
    methods: names of methods.
    arguments: flags of the run, without its method.
  """
  module = ['-m', 'tf_sparse_rl.benchmark', '--what=env_steps']
  command = [sys.executable, *module, *arguments]
  return {method: [*command, f'--method={method}'] for method in methods}


def of_peers(peers, config, warmup_env_steps, is_pinned, train_steps=False):
  """Makes `{name: command}` of peers.

  Args:
    peers: list of str, 'name=interpreter'.
    config: a Config, the task of the peers.
    warmup_env_steps: env steps that are not timed.
    is_pinned: whether they run on one core, with one thread.
    train_steps: whether to time train steps alone too.

  Raises:
    ValueError: for an unknown peer or an unsupported task.
  """
  if peers and (
    config.num_envs > 1
    or config.width != 1
    or config.network == 'impala_resnet'
  ):
    raise ValueError(
      'Expected num_envs=1, width=1 and network=mlp or nature_cnn with '
      '--peers, which do the same work. Received: '
      f'num_envs={config.num_envs}, width={config.width:g}, '
      f'network={config.network}.'
    )
  commands = {}
  for peer in peers:
    name, _, python = peer.partition('=')
    if name not in PEERS or not python:
      raise ValueError(
        'Expected --peers=sb3=PYTHON,sbx=PYTHON,rltools=PYTHON, any of them, '
        'with the interpreters of environments that have them. Received: '
        f'{peer!r}.'
      )
    if name == 'rltools' and (config.agent != 'sac' or train_steps):
      raise ValueError(
        'Expected whole env steps of --agent=sac with rltools, which has no '
        f'other. Received: --agent={config.agent}'
        f'{", --what=sparsity" if train_steps else ""}.'
      )
    commands[name] = [
      *of_peer(name, python, config, warmup_env_steps),
      *(['--threads=1'] if is_pinned else []),
    ]
  return commands


def of_peer(peer, python, config, warmup_env_steps):
  """Makes the command, a list of str, that times a peer.

  Args:
    peer: one of PEERS.
    python: interpreter of the peer's own environment.
    config: see `of_peers`.
    warmup_env_steps: see `of_peers`.
  """
  return [
    python,
    str(_SCRIPTS / PEERS[peer]),
    f'--peer={peer}',
    f'--agent={config.agent}',
    f'--env_name={config_lib.gym_id(config.env_name)}',
    f'--num_env_steps={config.num_env_steps - warmup_env_steps}',
    f'--warmup_env_steps={warmup_env_steps}',
    f'--hidden={",".join(map(str, config.hidden_units))}',
    f'--batch_size={config.batch_size}',
    f'--network={config.network or "mlp"}',
    f'--train_period={config.train_period or 1}',
  ]
