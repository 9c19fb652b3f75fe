"""TF-Agents' tests of its own agents: as they are, and with ours in place.

The wheel brings them. tf_agents_own_tests.txt lists by name those that pass on
this stack, unmodified. With our classes in place of TF-Agents', the same must
pass, but for the exceptions below; these must fail, or else leave the list.
"""

import fnmatch
import functools
import importlib
import pathlib
import types
import unittest
from typing import NamedTuple
from unittest import mock

import pytest
from absl import flags
from absl.testing import flagsaver

from tf_sparse_rl.agents import dqn, ppo, sac, td3

_NAMES = pathlib.Path(__file__).with_name('tf_agents_own_tests.txt')


class _Suite(NamedTuple):
  """A test module of TF-Agents, and how ours take the place of its classes."""

  tests: str  # module with the tests
  agent: str  # module with the classes under test
  ours: dict  # {class: ours}
  exceptions: dict  # {pattern of names that fail with ours: reason}


class _DoubleDqnAgent(dqn.DqnAgent):
  """Ours in place of TF-Agents' DdqnAgent."""

  def __init__(self, *args, **kwargs):
    super().__init__(*args, double_dqn=True, **kwargs)


_HEAD = 'the actor ends in a layer of `heads`, which samples by given noise'
_NO_KL_PENALTY = "PPOClipAgent's constructor has no KL penalty"
_PREPARED = (
  'trains on env steps whose advantages and old distribution are in '
  '`policy_info`, by an actor that ends in a layer of `heads`'
)

_SUITES = {
  'dqn': _Suite(
    'tf_agents.agents.dqn.dqn_agent_test',
    'tf_agents.agents.dqn.dqn_agent',
    {
      'DqnAgent': dqn.DqnAgent,
      'DdqnAgent': _DoubleDqnAgent,
    },
    {},
  ),
  'sac': _Suite(
    'tf_agents.agents.sac.sac_agent_test',
    'tf_agents.agents.sac.sac_agent',
    {'SacAgent': sac.SacAgent},
    {
      'SacAgentTest.testAgent*Train': _HEAD,
      'SacAgentTest.testTrainWithRnn': _HEAD,
      'SacAgentTest.testLoss': (
        'train returns statistics beside the losses, loss does not'
      ),
    },
  ),
  'td3': _Suite(
    'tf_agents.agents.td3.td3_agent_test',
    'tf_agents.agents.td3.td3_agent',
    {'Td3Agent': td3.Td3Agent},
    {'TD3AgentTest.testAgent*Train': _HEAD},
  ),
  'ppo': _Suite(
    'tf_agents.agents.ppo.ppo_agent_test',
    'tf_agents.agents.ppo.ppo_agent',
    {'PPOAgent': ppo.PpoAgent},
    {
      'PPOAgentTest.test*Kl*': _NO_KL_PENALTY,
      'PPOAgentTest.testTrainWithNonLegacyActorNetwork*': _NO_KL_PENALTY,
      'PPOAgentTest.testTrain[DMO]*': _PREPARED,
      'PPOAgentTest.testRNNTrain': _PREPARED,
      'PPOAgentTest.testStatelessValueNetTrain*': _PREPARED,
      'PPOAgentTest.testAgentDoesNotFailWhenNested*': _PREPARED,
    },
  ),
}


# Methods of tf.test.TestCase, and what TF-Agents itself skips.
_NO_TESTS = {'TD3AgentTest': ('test_session', 'testCriticLoss')}


def _listed():
  """[(suite, class and test)] of those that pass as they are."""
  return [tuple(line.split()) for line in _NAMES.read_text().splitlines()]


@functools.cache
def _as_they_are(suite):
  return importlib.import_module(_SUITES[suite].tests)


@functools.cache
def _with_ours(suite):
  """The test module once more, where it finds our classes in TF-Agents'.

  Only its import is diverted: TF-Agents' own classes, which ours derive from,
  stay as they are.
  """
  spec = importlib.util.find_spec(_as_they_are(suite).__name__)
  module = importlib.util.module_from_spec(spec)
  package, _, name = _SUITES[suite].agent.rpartition('.')
  package = importlib.import_module(package)
  diverted = types.ModuleType(name)
  vars(diverted).update(vars(getattr(package, name)), **_SUITES[suite].ours)
  with mock.patch.object(package, name, diverted):
    spec.loader.exec_module(module)
  return module


def _names(module):
  """Class and name of every test of a module."""
  return [
    f'{case.__name__}.{name}'
    for case in vars(module).values()
    if isinstance(case, type) and issubclass(case, unittest.TestCase)
    for name in unittest.defaultTestLoader.getTestCaseNames(case)
    if name not in _NO_TESTS.get(case.__name__, ('test_session',))
  ]


def _failures(module, name):
  """The tracebacks of one test."""
  case, test = name.split('.')
  result = unittest.TestResult()
  unittest.TestSuite([getattr(module, case)(test)]).run(result)
  assert result.testsRun == 1 and not result.skipped, name
  return [text for _, text in (*result.failures, *result.errors)]


@pytest.fixture(autouse=True)
def parsed_flags(tmp_path):
  """The tests ask absl where to write."""
  parsed = flags.FLAGS.is_parsed()
  flags.FLAGS.mark_as_parsed()
  with flagsaver.flagsaver(test_tmpdir=str(tmp_path)):
    yield
  if not parsed:
    flags.FLAGS.unparse_flags()


@pytest.mark.parametrize('suite', _SUITES)
def test_the_list_is_complete(suite):
  listed = [name for owner, name in _listed() if owner == suite]
  assert sorted(listed) == sorted(_names(_as_they_are(suite)))
  assert sorted(listed) == sorted(_names(_with_ours(suite)))
  for pattern in _SUITES[suite].exceptions:
    assert fnmatch.filter(listed, pattern), pattern


def _reasons(suite, name):
  """The reasons why a test may fail with ours."""
  return [
    reason
    for pattern, reason in _SUITES[suite].exceptions.items()
    if fnmatch.fnmatchcase(name, pattern)
  ]


@pytest.mark.parametrize(
  ('suite', 'name'), [test for test in _listed() if _reasons(*test)]
)
def test_exceptions_pass_as_they_are(suite, name):
  assert _failures(_as_they_are(suite), name) == []


@pytest.mark.parametrize(('suite', 'name'), _listed())
def test_with_ours(suite, name):
  failures = _failures(_with_ours(suite), name)
  if reasons := _reasons(suite, name):
    assert failures, f'Passes, so it is no exception any more: {reasons}'
  else:
    assert failures == []
