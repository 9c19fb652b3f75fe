"""Names of environments, for presets and flags."""

# Those of the paper.
ATARI_GAMES = (
  *('Assault', 'Asterix', 'BeamRider', 'Boxing', 'Breakout', 'CrazyClimber'),
  *('DemonAttack', 'Enduro', 'FishingDerby', 'MsPacman', 'Pong', 'Qbert'),
  *('SpaceInvaders', 'Tutankham', 'VideoPinball'),
)

# In place of a module, for environments made by a callable.
CALLABLE = 'callable'


def is_atari(env_name):
  """Whether a name is one of an Atari game, known or not."""
  return env_name is not None and (
    env_name in ATARI_GAMES or env_name.startswith(('ALE/', 'ale_py:ALE/'))
  )


def module_of(name):
  """The module in 'module:name'; '' if there is none."""
  module = name.rpartition(':')[0]
  return '' if module == CALLABLE else module


def gym_id(env_name):
  """The Gymnasium id of an environment, without its module."""
  if env_name in ATARI_GAMES:
    return f'ALE/{env_name}-v5'
  return env_name.rpartition(':')[2]
