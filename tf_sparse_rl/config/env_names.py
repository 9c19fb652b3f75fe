"""Names of environments, as far as presets and flags need them."""

# The paper's.
ATARI_GAMES = (
  *('Assault', 'Asterix', 'BeamRider', 'Boxing', 'Breakout', 'CrazyClimber'),
  *('DemonAttack', 'Enduro', 'FishingDerby', 'MsPacman', 'Pong', 'Qbert'),
  *('SpaceInvaders', 'Tutankham', 'VideoPinball'),
)

# Instead of a module: a callable of the program makes the environment.
CALLABLE = 'callable'


def is_atari(env_name):
  """Whether a name, known or not, is to be looked for among games of Atari."""
  return env_name is not None and (
    env_name in ATARI_GAMES or env_name.startswith(('ALE/', 'ale_py:ALE/'))
  )


def module_of(name):
  """The module in 'module:name'; '' if there is none to import."""
  module = name.rpartition(':')[0]
  return '' if module == CALLABLE else module


def gym_id(env_name):
  """Gymnasium's id of an environment, without module or short name."""
  if env_name in ATARI_GAMES:
    return f'ALE/{env_name}-v5'
  return env_name.rpartition(':')[2]
