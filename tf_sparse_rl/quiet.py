"""Keeps libraries from printing what tells a user nothing."""

import os
import sys
import warnings


def silence():
  """Turns off start-up chatter; to be called before TensorFlow is imported.

  TensorFlow's log level stays what the user set it to, if he did.
  """
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  os.environ.setdefault('PYGAME_HIDE_SUPPORT_PROMPT', '1')
  _drop_gym_notice()
  if not sys.warnoptions:
    # TF-Agents compares with `is`, old environments say there are newer ones.
    warnings.simplefilter('ignore', SyntaxWarning)
    warnings.simplefilter('ignore', DeprecationWarning)


def _drop_gym_notice():
  """TF-Agents imports Gym, which tells people to use Gymnasium. We do."""
  try:
    import gym_notices.notices
  except ImportError:
    return
  gym_notices.notices.notices.clear()
