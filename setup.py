"""Package metadata: what must be there; requirements.lock says which one."""

import pathlib
import re

import setuptools

_ROOT = pathlib.Path(__file__).resolve().parent


def _version():
  # Read, not imported: importing the package imports TensorFlow.
  text = (_ROOT / 'tf_sparse_rl' / 'version.py').read_text(encoding='utf-8')
  return re.search(r"^__version__ = ['\"](.+?)['\"]", text, re.M).group(1)


def _readme():
  path = _ROOT / 'README.md'
  return path.read_text(encoding='utf-8') if path.exists() else ''


# tf-agents and gym are not here: tf-agents 0.19.0 declares pins that no
# resolver can satisfy beside TensorFlow 2.21 (typing-extensions==4.5.0,
# tensorflow-probability~=0.23.0, pygame==2.1.3), though it runs with it.
# requirements.lock has both and is installed without resolving;
# launch/lock.sh adds them. Beside plain pip they are installed by
# `python -m tf_sparse_rl.install_agents`.
_CORE = [
  'absl-py',
  'cloudpickle',
  'gin-config',
  'gymnasium[classic-control]==1.4.0',
  'moviepy==2.2.1',
  'numpy>=2',
  'scipy',
  'tensorboard==2.21.0',
  'tensorflow==2.21.0',
  'tensorflow-model-optimization==0.8.1',
  'tensorflow-probability==0.25.0',
  'tf-keras==2.21.0',
  'tqdm',
]

_EXTRAS = {
  'atari': ['ale-py', 'opencv-python-headless'],
  # Not in requirements.lock: 3 GB that serve a GPU only.
  'cuda': ['tensorflow[and-cuda]==2.21.0'],
  # Builds the site. These go together; newer ones need CPython 3.11.
  'docs': [
    'latex2mathml==3.81.1',
    'mkdocs==1.6.1',
    'mkdocs-material==9.7.7',
    'mkdocstrings[python]==1.0.6',
    'pymdown-extensions==11.0.2',
  ],
  # Not in requirements.lock: no version of backports.strenum, which it needs,
  # serves all versions of Python.
  'litert': ['ai-edge-litert'],
  # Not in requirements.lock either, as wandb: they bring 20 packages.
  'mlflow': ['alembic', 'mlflow-skinny>=3', 'sqlalchemy'],
  'mujoco': ['gymnasium[mujoco]'],
  'onnx': ['onnx', 'onnxruntime'],
  'optuna': ['optuna'],
  'report': ['jinja2', 'matplotlib', 'pandas<3', 'rliable'],
  'sweep': ['ray'],
  'test': ['hypothesis', 'pytest', 'pytest-xdist', 'ruff', 'scikit-learn'],
  'wandb': ['wandb'],
}

_COMMANDS = [
  'train',
  'evaluate',
  'summarize',
  'export',
  'benchmark',
  'sweep',
  'report',
  'install_agents',
]

setuptools.setup(
  name='tf_sparse_rl',
  version=_version(),
  description='Sparse training of deep reinforcement learning agents',
  long_description=_readme(),
  long_description_content_type='text/markdown',
  author='The tf_sparse_rl Authors',
  license='Apache-2.0',
  classifiers=[
    'Intended Audience :: Science/Research',
    'Operating System :: POSIX :: Linux',
    'Programming Language :: Python :: 3.10',
    'Programming Language :: Python :: 3.11',
    'Programming Language :: Python :: 3.12',
    'Programming Language :: Python :: 3.13',
    'Topic :: Scientific/Engineering :: Artificial Intelligence',
  ],
  python_requires='>=3.10,<3.14',
  packages=setuptools.find_packages(include=['tf_sparse_rl*']),
  package_data={
    'tf_sparse_rl': ['py.typed'],
    'tf_sparse_rl.native': ['*.cc', '*.h'],
    'tf_sparse_rl.report': ['data/*'],
  },
  install_requires=_CORE,
  extras_require=_EXTRAS,
  entry_points={
    'console_scripts': [
      'tf-sparse-rl = tf_sparse_rl.__main__:run',
      *(
        f'tf-sparse-rl-{command.replace("_", "-")} = tf_sparse_rl.{command}:run'
        for command in _COMMANDS
      ),
    ]
  },
)
