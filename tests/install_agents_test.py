"""The command that installs TF-Agents, without a network."""

import subprocess
import types

import pytest

from tf_sparse_rl import flags, install_agents, packages


@pytest.fixture(name='commands')
def commands_fixture(monkeypatch):
  """Command lines that were to be run; none is."""
  found = []

  def run(command, check):
    del check
    found.append(command)
    return types.SimpleNamespace(returncode=len(found) - 1)

  monkeypatch.setattr(subprocess, 'run', run)
  return found


def test_what_is_installed_is_left_alone(commands, capsys):
  install_agents.main([])
  assert capsys.readouterr().out.startswith('Installed already: tf-agents==')
  assert commands == []


def test_what_is_missing_is_installed_without_requirements(
  commands, capsys, monkeypatch
):
  missing = ('tf-agents==0.0.1', 'no-such-package==1')
  monkeypatch.setattr(packages, 'AGENTS', (*missing, packages.AGENTS[1]))
  install_agents.main([])
  [command] = commands
  assert command[1:] == ['-m', 'pip', 'install', '--no-deps', *missing]
  assert 'Installed.' in capsys.readouterr().out
  with pytest.raises(flags.UserError, match='pip failed with exit code 1'):
    install_agents.main([])


def test_without_pip_uv_is_named(commands, monkeypatch):
  monkeypatch.setattr(packages, 'AGENTS', ('no-such-package==1',))
  monkeypatch.setattr(packages, 'is_installed', lambda module: False)
  with pytest.raises(flags.UserError, match='uv pip install --no-deps no-such'):
    install_agents.main([])
  assert commands == []
