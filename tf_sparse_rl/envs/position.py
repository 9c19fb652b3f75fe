"""The position in an episode, from which it can be restored.

It consists of the episode's seed and actions. An environment with
`state_dict()` and `load_state_dict(state)`, of JSON types, is saved by its
state, and only the actions since then are kept.
"""

import json

import gymnasium as gym
import numpy as np

from tf_sparse_rl.envs import checks, errors

# Actions after which the state is read again.
MOST_ACTIONS = 1000
# Wrappers that have no state but the env steps of the episode.
_KNOWN = (
  checks.Probe,
  gym.wrappers.OrderEnforcing,
  gym.wrappers.PassiveEnvChecker,
  gym.wrappers.TimeLimit,
  gym.wrappers.TransformAction,
  gym.wrappers.TransformObservation,
  gym.wrappers.TransformReward,
)


class Position:
  """The position in an episode; changes with every env step."""

  def __init__(self, env_name, env):
    """Looks for a state_dict.

    Args:
      env_name: its name.
      env: a Gymnasium environment. The outermost layer counts that is not one
        of Gymnasium's stateless wrappers.
    """
    self._env_name, self._env = env_name, env
    # Whether to use states where there are any; otherwise all actions are kept.
    self.saves_states = False
    self.begin(None)

  @property
  def offers_state(self):
    """Whether the environment has a state_dict."""
    return self._holder() is not None

  @property
  def num_env_steps(self):
    """Env steps of the episode so far."""
    return self._num_before + len(self._actions)

  def begin(self, seed):
    """Starts an episode."""
    self._seed, self._actions = seed, []
    self._state, self._num_before = None, 0

  def add(self, action):
    """Adds the action of an env step that is about to be taken."""
    if len(self._actions) >= MOST_ACTIONS and self.saves_states:
      holder = self._holder()
      if holder is not None:
        self._state = self._asked(holder)
        # A new list: marks keep the one before.
        self._num_before, self._actions = self.num_env_steps, []
    self._actions.append(np.array(action))

  def mark(self):
    """The position, for `rewind`; cheap."""
    return (
      self._seed,
      self._state,
      self._num_before,
      self._actions,
      len(self._actions),
    )

  def rewind(self, mark):
    """Returns to a mark; the environment itself is not rewound."""
    self._seed, self._state, self._num_before, actions, count = mark
    self._actions = actions[:count]

  def to_json(self):
    """The position in JSON types."""
    values = {
      'seed': self._seed,
      'actions': [action.tolist() for action in self._actions],
    }
    if self._state is not None:
      values['state'] = self._state
      values['num_env_steps'] = self._num_before
    return values

  def load_state(self, position):
    """Loads the state of a position into an environment that was just reset."""
    if 'state' not in position:
      return
    holder = self._holder()
    if holder is None:
      raise errors.EnvError(
        self._env_name,
        'load_state_dict',
        'is missing, and the run was saved with a state of the environment',
      )
    try:
      holder.load_state_dict(position['state'])
    except BaseException as error:  # It is not our code.
      raise errors.of_exception(
        self._env_name, 'load_state_dict', error
      ) from error
    self._state = position['state']
    self._num_before = position['num_env_steps']
    for env in _layers(self._env):
      if isinstance(env, gym.wrappers.TimeLimit):
        env._elapsed_steps = self._num_before

  def _holder(self):
    """The environment or wrapper with a state_dict, or None."""
    outer = next(e for e in _layers(self._env) if not isinstance(e, _KNOWN))
    methods = ('state_dict', 'load_state_dict')
    offers = all(callable(getattr(outer, name, None)) for name in methods)
    return outer if offers else None

  def _asked(self, holder):
    """A copy of the environment's state, of JSON types."""
    try:
      state = holder.state_dict()
    except BaseException as error:  # It is not our code.
      raise errors.of_exception(self._env_name, 'state_dict', error) from error
    try:
      return json.loads(json.dumps(state))
    except (TypeError, ValueError, RecursionError) as error:
      raise errors.EnvError(
        self._env_name,
        'state_dict',
        'must return JSON types: numbers, str, bool, None, lists and dicts, as '
        f'array.tolist() and np_random.bit_generator.state are ({error})',
      ) from error


def _layers(env):
  """The layers of an environment, the outermost first."""
  yield env
  while isinstance(env, gym.Wrapper):
    env = env.env
    yield env
