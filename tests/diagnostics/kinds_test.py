"""Every row of the diagnoses has its module, its tags and its figure."""

import importlib

import pytest

from tf_sparse_rl import diagnoses, flags
from tf_sparse_rl.diagnostics import base
from tf_sparse_rl.report import catalogue


@pytest.mark.parametrize('kind', diagnoses.KINDS.values(), ids=lambda k: k.name)
def test_a_row_is_all_that_a_diagnosis_needs(kind):
  module = importlib.import_module(f'tf_sparse_rl.diagnostics.{kind.name}')
  assert issubclass(module.Diagnosis, base.Diagnosis)
  config = flags.make_config({'diagnostics': kind.name})
  assert config.diagnostics_kinds == (kind.name,)
  assert kind.tags and all('{network}' in tag for tag in kind.tags)
  if kind.figure:
    assert kind.figure.name in [entry.name for entry in catalogue.FIGURES]


def test_an_unknown_kind_is_told_with_the_nearest():
  with pytest.raises(ValueError, match="Did you mean 'dormant'"):
    flags.make_config({'diagnostics': 'dormnt'})
