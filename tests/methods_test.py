"""Methods: one row each, read by configs, masks, sweeps and reports."""

import pytest

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import methods, sparsity


def test_names_in_their_order():
  paper = ('dense', 'static', 'set', 'rigl', 'prune')
  assert tuple(n for n in methods.METHODS if n in paper) == paper
  assert tuple(methods.COMPARED)[:2] == ('dense', methods.SMALL_DENSE)
  assert {*methods.COMPARED} == {*methods.METHODS, methods.SMALL_DENSE}
  starts_dense = [n for n in paper if methods.METHODS[n].starts_dense]
  assert starts_dense == ['prune']


def test_looks_are_distinct():
  rows = methods.COMPARED.values()
  for of in ('label', 'color', 'marker'):
    assert len({getattr(row, of) for row in rows}) == len(rows), of


@pytest.mark.parametrize('name', methods.METHODS)
def test_what_a_method_reads_are_fields(name):
  fields = {field.name for field in config_lib.fields()}
  assert {*methods.METHODS[name].reads} <= fields
  assert {*methods.unused_fields(name)} <= fields - {'seed'}


def test_unused_fields_by_hand():
  drop_and_grow = {'drop_fraction', 'mask_update_end_train_step'}
  prune = {'prune_begin_train_step', 'prune_end_train_step'}
  schedule = {*drop_and_grow, *prune, 'mask_update_period'}
  for name, expected in {
    'static': schedule,
    'set': prune,
    'rigl': prune,
    'prune': drop_and_grow,
    'dense': {
      *schedule,
      *('sparsity', 'actor_sparsity', 'critic_sparsity', 'value_sparsity'),
      *('custom_sparsity', 'block_shape', 'n_of_m', 'sparsity_aware_init'),
    },
  }.items():
    assert {*methods.unused_fields(name)} == expected


@pytest.mark.parametrize(
  'name, expected',
  [
    ('static', {}),
    (
      'set',
      {
        'drop_fraction': 0.5,
        'mask_update_period': 1000,
        'mask_update_end_train_step': 75_000,
        'seed': 3,
      },
    ),
    (
      'prune',
      {
        'prune_begin_train_step': 20_000,
        'prune_end_train_step': 75_000,
        'mask_update_period': 1000,
      },
    ),
  ],
)
def test_an_updater_is_made_from_a_config(name, expected):
  config = config_lib.make_config({'method': name, 'seed': 3})
  updater = sparsity.updaters.make(name, config)
  assert updater.get_config() == expected


def test_each_sparse_method_has_an_updater_of_its_own():
  config = config_lib.make_config({})
  kinds = {
    name: type(sparsity.updaters.make(name, config))
    for name, row in methods.METHODS.items()
    if row.updater
  }
  assert len({*kinds.values()}) == len(kinds)
  assert kinds['static'] is sparsity.Static
  assert kinds['set'] is sparsity.SET
  assert kinds['rigl'] is sparsity.RigL
  assert kinds['prune'] is sparsity.MagnitudePruning
