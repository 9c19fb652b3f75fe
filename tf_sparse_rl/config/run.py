"""Fields of every run: agent, environment, method, length."""

import json

from tf_sparse_rl import methods
from tf_sparse_rl.config import agents, env_names
from tf_sparse_rl.config.presets import ByNetwork, Value
from tf_sparse_rl.config.rows import (
  COUNT,
  JsonObject,
  OneOf,
  Range,
  Record,
  References,
  record,
  row,
)

_CHEETAH = Value('HalfCheetah-v5', 'ours: the first thing to try')


@record
class Run(Record):
  """The agent, its environment, the method and the length of the run."""

  title = 'Run'

  agent: str = row(
    f'one of: {", ".join(agents.AGENTS)}',
    OneOf(tuple(agents.AGENTS)),
    default='dqn',
  )
  env_name: str | None = row(
    'id of a Gymnasium environment, or module:id of one that the module '
    'registers',
    dqn=ByNetwork(
      mlp=Value('CartPole-v1', 'ours: the first thing to try'),
      images=Value('Pong', 'ours: the first thing to try'),
    ),
    sac=_CHEETAH,
    ppo=_CHEETAH,
  )
  env_kwargs: str = row(
    'keyword arguments of the environment, a JSON object',
    JsonObject(),
    default='{}',
  )
  env_wrappers: str = row(
    'wrappers of the environment, innermost first: module:function, separated '
    'by commas',
    References(),
    default='',
  )
  env_wrapper_kwargs: str = row(
    'keyword arguments of env_wrappers by function, a JSON object, as in '
    '{"NoiseFeatures": {"share": 0.9}}',
    JsonObject(),
    default='{}',
  )
  method: str = row(
    f'one of: {", ".join(methods.METHODS)}; or module:Class, a custom '
    'MaskUpdater',
    OneOf(tuple(methods.METHODS), own='my_module:MyUpdater'),
    default='rigl',
  )
  method_kwargs: str = row(
    'keyword arguments of a custom method, a JSON object',
    JsonObject(),
    default='{}',
  )
  seed: int = row(
    'random seed of the run',
    Range(0, 2**31 - 1, 'a seed from 0 to 2147483647'),
    default=0,
  )
  num_env_steps: int | None = row(
    'total env steps, including the initial collection',
    COUNT,
    dqn=ByNetwork(
      mlp=Value(100_000, 'code: 100,000 iterations'),
      # An env step is one of the agent, of four frames.
      images=Value(10_000_000, 'code: 40 times 250,000 agent steps'),
    ),
    sac=Value(1_000_000, 'code: 1,000,000 iterations'),
    ppo=Value(1_001_472, 'code: 489 rollouts'),
  )
  init_from: str = row(
    'directory of a run from which the networks are initialized; @best, '
    '@ENV_STEP or @last (the default) selects the checkpoint, as in '
    'runs/other@best',
    default='',
  )
  init_optimizer: bool = row(
    "with init_from: also restore the optimizers' slots and SAC's temperature",
    default=False,
  )
  num_envs: int = row(
    'parallel environments; a step in one of them counts as one env step',
    Range(1, 10_000, 'from 1 to 10000 environments'),
    default=1,
  )
  max_collect_episode_env_steps: int = row(
    'maximum env steps of an episode in collection, for environments with '
    'neither a time limit nor a state_dict',
    COUNT,
    default=27_000,
  )

  @property
  def env_arguments(self):
    """`env_kwargs` as a dict."""
    return json.loads(self.env_kwargs)

  @property
  def env_wrapper_names(self):
    """The names in `env_wrappers`, a tuple."""
    return tuple(filter(None, self.env_wrappers.split(',')))

  @property
  def env_wrapper_calls(self):
    """(name, arguments as a dict) of each of `env_wrappers`, a tuple."""
    arguments = json.loads(self.env_wrapper_kwargs)
    return tuple(
      (name, arguments.get(name.rpartition(':')[2], {}))
      for name in self.env_wrapper_names
    )

  @property
  def env_modules(self):
    """Names of the custom modules that define the environment, a tuple."""
    named = (self.env_name, *self.env_wrapper_names)
    found = (env_names.module_of(name) for name in named)
    return tuple(filter(None, dict.fromkeys(found)))

  @property
  def policy_modules(self):
    """Names of the custom modules that a trained policy needs, a tuple."""
    network = env_names.module_of(self.network)
    return tuple(filter(None, dict.fromkeys((*self.env_modules, network))))

  @property
  def imported_modules(self):
    """Names of all custom modules of the config, a tuple."""
    found = (env_names.module_of(name) for name in (self.method, self.network))
    return tuple(filter(None, dict.fromkeys((*self.env_modules, *found))))

  @property
  def method_arguments(self):
    """`method_kwargs` as a dict."""
    return json.loads(self.method_kwargs)

  @property
  def init_source(self):
    """`init_from` as (directory, 'best', 'last' or an env step)."""
    path, at, which = self.init_from.rpartition('@')
    if at and (which in ('best', 'last') or which.isdecimal()):
      return path, int(which) if which.isdecimal() else which
    return self.init_from, 'last'

  def check(self):
    """Checks num_envs, keyword arguments and init_from."""
    self.require(
      self.num_env_steps % self.num_envs == 0,
      'num_env_steps as a multiple of num_envs',
      *('num_env_steps', 'num_envs'),
    )
    functions = {name.rpartition(':')[2] for name in self.env_wrapper_names}
    arguments = json.loads(self.env_wrapper_kwargs)
    self.require(
      arguments.keys() <= functions
      and all(isinstance(given, dict) for given in arguments.values()),
      'env_wrapper_kwargs as an object for functions of env_wrappers',
      *('env_wrapper_kwargs', 'env_wrappers'),
    )
    self.require(
      methods.is_own(self.method) or not self.method_arguments,
      'method_kwargs with a custom method, --method=module:Class: the options '
      'of built-in methods are flags',
      *('method_kwargs', 'method'),
    )
    self.require(
      self.init_from or not self.init_optimizer,
      'init_from with init_optimizer',
      *('init_from', 'init_optimizer'),
    )
