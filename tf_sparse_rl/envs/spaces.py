"""Converts Gymnasium's spaces to arrays: images, or flat vectors."""

import dataclasses

import gymnasium as gym
import numpy as np

_CHANNELS = (1, 3, 4)
_SMALLEST_IMAGE = 8  # the first kernel of the Nature CNN
_WIDEST = 1e15  # range of an entry of an action; see also `divergence`
_NOT_FLAT = (LookupError, TypeError, ValueError, AttributeError)


@dataclasses.dataclass(frozen=True)
class EnvSpec:
  """Shapes and bounds of observations and actions."""

  name: str
  observation_size: int  # entries of an observation
  num_actions: int | None  # discrete actions; None for other kinds
  max_episode_steps: int | None  # env steps until truncation
  action_low: tuple[float, ...] = ()  # bounds of each entry of a continuous
  action_high: tuple[float, ...] = ()  # action
  # Of uint8 images; () for flat float32 observations.
  observation_shape: tuple[int, ...] = ()
  # Choices of each entry of a MultiDiscrete or MultiBinary action.
  action_counts: tuple[int, ...] = ()
  num_frames: int = 1  # that an image stacks along its last axis

  @property
  def action_size(self):
    """Entries of an action; 1 for a discrete one."""
    return len(self.action_low) or len(self.action_counts) or 1

  @property
  def has_integer_actions(self):
    """Whether actions are integers, one or several."""
    return not self.action_low


def image_shape(space):
  """The shape in which networks take an image; () for other spaces.

  An image is a uint8 Box from 0 to 255, of at least 8 x 8 pixels: grey
  `(height, width)`, or with 1, 3 or 4 channels, which are the last axis, or
  else the first. Images are not stacked: use a wrapper to stack frames where
  one frame does not show motion.

  Args:
    space: a Gymnasium space.

  Returns:
    (height, width, channels), or ().
  """
  if not isinstance(space, gym.spaces.Box) or space.dtype != np.uint8:
    return ()
  if not (np.all(space.low == 0) and np.all(space.high == 255)):
    return ()
  if len(space.shape) == 2:
    shape = (*space.shape, 1)
  elif len(space.shape) != 3:
    return ()
  elif space.shape[2] in _CHANNELS:
    shape = space.shape
  else:
    shape = (*space.shape[1:], space.shape[0])
  is_image = shape[2] in _CHANNELS and min(shape[:2]) >= _SMALLEST_IMAGE
  return tuple(map(int, shape)) if is_image else ()


def spec_of(env_name, env):
  """Makes the spec of an environment.

  Args:
    env_name: its name.
    env: a Gymnasium environment.

  Returns:
    An EnvSpec.

  Raises:
    ValueError: for spaces that no agent supports.
  """
  observations = _space(env_name, env, 'observation_space')
  actions = _space(env_name, env, 'action_space')
  shape = image_shape(observations)
  size = int(np.prod(shape)) if shape else _flat_size(env_name, observations)
  return EnvSpec(
    env_name,
    size,
    max_episode_steps=time_limit(env),
    observation_shape=shape,
    **_actions(env_name, actions),
  )


def time_limit(env):
  """The time limit of a Gymnasium environment in env steps, or None."""
  limits = [env.spec.max_episode_steps] if env.spec else []
  while isinstance(env, gym.Wrapper):
    if isinstance(env, gym.wrappers.TimeLimit):
      limits.append(env._max_episode_steps)
    env = env.env
  return min((limit for limit in limits if limit), default=None)


def _space(env_name, env, name):
  space = getattr(env, name, None)
  if not isinstance(space, gym.Space):
    raise ValueError(
      f'Expected {name} of {env_name} to be one of gymnasium.spaces. '
      f'Received: {space!r}.'
    )
  return space


def _flat_size(env_name, space):
  """Number of entries of a flattened observation."""
  if not space.is_np_flattenable:
    raise ValueError(
      'Expected an environment whose observations '
      'gymnasium.wrappers.FlattenObservation flattens. Received: '
      f'{env_name} with {space}.'
    )
  size = gym.spaces.flatdim(space)
  if not size:
    raise ValueError(
      f'Expected observations of at least one entry. Received: {env_name} with '
      f'{space}.'
    )
  return int(size)


def _actions(env_name, space):
  """Fields of an EnvSpec for actions."""
  if isinstance(space, gym.spaces.Discrete):
    return {'num_actions': int(space.n)}
  if isinstance(space, gym.spaces.MultiDiscrete):
    counts = tuple(map(int, np.ravel(space.nvec)))
    return {'num_actions': None, 'action_counts': counts}
  if isinstance(space, gym.spaces.MultiBinary) and np.prod(space.shape):
    counts = (2,) * int(np.prod(space.shape))
    return {'num_actions': None, 'action_counts': counts}
  if (
    not isinstance(space, gym.spaces.Box)
    or len(space.shape) != 1
    or not space.shape[0]
    or not np.issubdtype(space.dtype, np.floating)
  ):
    raise ValueError(
      'Expected an environment with Discrete, MultiDiscrete or MultiBinary '
      'actions, or a flat Box of floats with finite bounds. Received: '
      f'{env_name} with {space}.'
    )
  with np.errstate(over='ignore', invalid='ignore'):
    width = space.high - space.low
  if not ((width > 0) & (width <= _WIDEST)).all():
    raise ValueError(
      'Expected a flat Box of floats with finite bounds that differ, by at '
      f'most {_WIDEST:g}: agents scale their actions to them. Received: '
      f'{env_name} with {space}. Give the Box bounds, or rescale it by a '
      'wrapper in --env_wrappers.'
    )
  low, high = (tuple(map(float, b)) for b in (space.low, space.high))
  return {'num_actions': None, 'action_low': low, 'action_high': high}


def observer(space):
  """Makes a function that converts observations to arrays, without checks.

  Args:
    space: the observation space of an environment that `spec_of` takes.

  Returns:
    Function of an observation to float32 `[observation_size]` or, for images,
    uint8 `[*observation_shape]`. It raises ValueError for another shape.
  """
  shape = image_shape(space)
  if shape:
    return _image_observer(space, shape)
  if isinstance(space, gym.spaces.Box):
    return _box_observer(space)

  def flatten(observation):
    try:
      flat = gym.spaces.flatten(space, observation)
    except _NOT_FLAT as error:
      raise ValueError(f'{observation!r:.200}') from error
    return np.asarray(flat, np.float32)

  return flatten


def _image_observer(space, shape):
  channels_first = len(space.shape) == 3 and space.shape != shape

  def image(observation):
    observation = np.asarray(observation)
    if observation.shape != space.shape or observation.dtype != np.uint8:
      raise ValueError(
        f'shape {observation.shape} and dtype {observation.dtype}'
      )
    if channels_first:
      return np.moveaxis(observation, 0, -1)
    return observation.reshape(shape)

  return image


def _box_observer(space):
  shape, is_flat = space.shape, len(space.shape) == 1

  def flat(observation):
    observation = np.asarray(observation, np.float32)
    if observation.shape != shape:
      raise ValueError(f'shape {observation.shape}')
    return observation if is_flat else observation.reshape(-1)

  return flat


def action_taker(space):
  """Makes a function that converts actions of agents to the environment's.

  Args:
    space: the action space of an environment that `spec_of` takes.

  Returns:
    Function of an int that counts from 0, of such ints `[action_size]`, or of
    floats `[action_size]`, which are clipped to the bounds.
  """
  if isinstance(space, gym.spaces.Discrete):
    first = int(space.start)
    return lambda action: first + int(action)
  if isinstance(space, gym.spaces.Box):
    low, high = space.low.astype(np.float32), space.high.astype(np.float32)
    # In half the time of np.clip.
    return lambda action: np.minimum(np.maximum(action, low), high)
  first = np.asarray(getattr(space, 'start', 0), space.dtype)
  return lambda action: (
    np.asarray(action, space.dtype).reshape(space.shape) + first
  )
