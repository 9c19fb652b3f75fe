"""Optional packages, and the commands that install them."""

import importlib.util

from tf_sparse_rl import names

# The versions that agents are tested with. They are not in setup.py: see there.
AGENTS = ('tf-agents==0.19.0', 'gym==0.26.2', 'gym-notices==0.1.0')
_NAMES = {
  'ale_py': 'ale-py',
  'cv2': 'OpenCV',
  'mlflow': 'MLflow',
  'mujoco': 'MuJoCo',
  'onnx': 'ONNX',
  'onnxruntime': 'ONNX Runtime',
  'optuna': 'Optuna',
  'ray': 'Ray',
  'tf_agents': 'TF-Agents',
  'wandb': 'Weights & Biases',
}
_INSTALL_AGENTS = 'python -m tf_sparse_rl.install_agents'
# {module: the extra of setup.py that brings it}
EXTRAS = {
  'ale_py': 'atari',
  'cv2': 'atari',
  'jinja2': 'report',
  'matplotlib': 'report',
  'mlflow': 'mlflow',
  'mujoco': 'mujoco',
  'onnx': 'onnx',
  'onnxruntime': 'onnx',
  'optuna': 'optuna',
  'pandas': 'report',
  'ray': 'sweep',
  'rliable': 'report',
  'wandb': 'wandb',
}


class MissingError(ImportError):
  """A package is missing; the message has the command that installs it."""


def is_installed(module):
  """Whether a top-level module is installed; it is not imported."""
  return importlib.util.find_spec(module) is not None


def require(feature, *modules):
  """Checks that packages are installed.

  Args:
    feature: start of the message, such as 'Training' or '--figure'.
    *modules: names of top-level modules: keys of EXTRAS, or 'tf_agents'.

  Raises:
    MissingError: if one is missing, with the command that installs it.
  """
  missing = [module for module in modules if not is_installed(module)]
  if missing:
    is_one = len(missing) == 1
    listed = names.listed([_NAMES.get(name, name) for name in missing], 'and')
    raise MissingError(
      f'{feature} needs {listed}, which '
      f'{"is" if is_one else "are"} not installed. '
      f'To install {"it" if is_one else "them"}: {command(missing)}'
    )


def command(modules):
  """The shell command that installs some modules; see `require`."""
  extras = dict.fromkeys(EXTRAS[m] for m in modules if m != 'tf_agents')
  commands = [_INSTALL_AGENTS] if 'tf_agents' in modules else []
  if extras:
    commands.append(f"pip install 'tf_sparse_rl[{','.join(extras)}]'")
  return ' && '.join(commands)
