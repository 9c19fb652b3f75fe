"""Methods: one row each, read by configs, masks, sweeps and reports."""

import subprocess
import sys

import pytest

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import methods, modules, sparsity


def test_names_in_their_order():
  paper = ('dense', 'static', 'set', 'rigl', 'prune')
  assert tuple(n for n in methods.METHODS if n in paper) == paper
  assert tuple(methods.COMPARED)[:2] == ('dense', methods.SMALL_DENSE)
  assert {*methods.COMPARED} == {*methods.METHODS, methods.SMALL_DENSE}
  starts_dense = [n for n, row in methods.METHODS.items() if row.starts_dense]
  assert starts_dense == [
    *('prune', 'saliency', 'global_prune', 'straight_through', 'adaptive')
  ]


def test_looks_are_distinct():
  rows = methods.COMPARED.values()
  for of in ('label', 'color', 'marker'):
    assert len({getattr(row, of) for row in rows}) == len(rows), of


def test_methods_of_the_users_own_look_their_own_way(monkeypatch):
  monkeypatch.setattr(methods, '_own', {})
  own = [methods.get(f'a_module:Mine{i}') for i in range(20)]
  assert [row.name for row in own] == [row.label for row in own]
  looks = {(row.color, row.marker) for row in own}
  assert len(looks) == len(own)
  known = methods.COMPARED.values()
  for of in ('color', 'marker'):
    assert not {getattr(r, of) for r in own} & {getattr(r, of) for r in known}
  # From the name alone, whatever process asks.
  alone = 'import tf_sparse_rl.methods as m; print(m.get("a_module:Mine0"))'
  command = [sys.executable, '-c', alone]
  said = subprocess.run(command, capture_output=True, text=True, check=True)
  assert said.stdout == f'{own[0]}\n'


def test_the_users_own_come_last():
  mixed = ['b:B', 'prune', 'a:A', 'dense', methods.SMALL_DENSE]
  assert sorted(mixed, key=methods.order) == [
    *('dense', methods.SMALL_DENSE, 'prune', 'a:A', 'b:B')
  ]
  with pytest.raises(ValueError, match="Did you mean 'rigl'"):
    methods.get('rigle')


@pytest.mark.parametrize('name', methods.METHODS)
def test_what_a_method_reads_are_fields(name):
  fields = {field.name for field in config_lib.fields()}
  assert {*methods.METHODS[name].reads} <= fields
  assert {*methods.unused_fields(name)} <= fields - {'seed'}


def test_unused_fields_by_hand():
  adaptive = {'num_networks', 'max_sparsity_step', 'max_sparsity_power'}
  adaptive |= {'selection_period'}
  assert {*methods.unused_fields('my_module:Mine')} == adaptive
  drop_and_grow = {'drop_fraction', 'mask_update_end_train_step'}
  prune = {'prune_begin_train_step', 'prune_end_train_step'}
  gather = {'grow_batches'}
  schedule = {*drop_and_grow, *prune, *gather, 'mask_update_period'}
  for name, expected in {
    'static': schedule,
    'set': {*prune, *gather},
    'rigl': prune,
    'srigl': {*prune, 'block_shape', 'n_of_m'},
    'neuroplastic': {*prune, 'n_of_m'},
    'prune': {*drop_and_grow, *gather},
    'saliency': {*drop_and_grow, *gather},
    'straight_through': {*drop_and_grow, *gather, 'mask_update_period'},
    'dense': {
      *schedule,
      *('sparsity', 'actor_sparsity', 'critic_sparsity', 'value_sparsity'),
      *('custom_sparsity', 'block_shape', 'n_of_m', 'sparsity_aware_init'),
    },
  }.items():
    known = {*expected, 'method_kwargs', *adaptive}
    assert {*methods.unused_fields(name)} == known, name
  assert {*methods.unused_fields('adaptive')} == {
    *('sparsity', 'actor_sparsity', 'critic_sparsity', 'value_sparsity'),
    *('custom_sparsity', 'n_of_m', 'method_kwargs', *schedule),
  }


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
    (
      'straight_through',
      {'prune_begin_train_step': 20_000, 'prune_end_train_step': 75_000},
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
  assert kinds['global_prune'] is sparsity.GlobalMagnitudePruning
  for name, kind in kinds.items():
    assert kind.starts_dense == methods.METHODS[name].starts_dense, name


_OWN = """
from tf_sparse_rl import sparsity

class Mine(sparsity.RigL):
  starts_dense = True
  def __init__(self, share, temperature=1.0, **kwargs):
    super().__init__(**kwargs)
    self.given = share, temperature

class Whole(sparsity.MaskUpdater):
  def __init__(self, prune_end_train_step, seed, *, order=(1, 2)):
    self.given = prune_end_train_step, seed, order

class Broken(sparsity.MaskUpdater):
  def __init__(self):
    raise KeyError('oh')

def function():
  pass
"""


@pytest.fixture
def _own_module(tmp_path, monkeypatch):
  (tmp_path / 'own_methods.py').write_text(_OWN)
  monkeypatch.chdir(tmp_path)
  yield
  sys.modules.pop('own_methods', None)


def _make(name, **values):
  config = config_lib.make_config(
    {'method': f'own_methods:{name}', 'seed': 3, **values}
  )
  return sparsity.updaters.make(config.method, config)


@pytest.mark.usefixtures('_own_module')
def test_a_class_of_the_users_own_is_made_of_config_and_arguments():
  kwargs = '{"share": 0.5, "mask_update_period": 7}'
  updater = _make('Mine', method_kwargs=kwargs, drop_fraction=0.2)
  assert updater.given == (0.5, 1.0)
  assert updater.get_config() == {
    'drop_fraction': 0.2,
    'mask_update_period': 7,
    'mask_update_end_train_step': 75_000,
    'seed': 3,
    'grow_batches': 1,
  }
  assert sparsity.updaters.starts_dense('own_methods:Mine')
  assert _make('Whole').given == (75_000, 3, (1, 2))
  assert not sparsity.updaters.starts_dense('own_methods:Whole')


@pytest.mark.usefixtures('_own_module')
@pytest.mark.parametrize(
  'name, kwargs, expected',
  [
    ('Mine', '{}', 'Expected --method_kwargs with share, without which'),
    ('Mine', '{"shar": 1}', "method_kwargs: .*'shar'. Did you mean 'share'"),
    ('Whole', '{"drop_fraction": 1}', "Unknown argument.*'drop_fraction'"),
    ('Mine', '{"share": 1, "drop_fraction": 2}', r'drop_fraction in \(0, 1'),
    ('function', '{}', 'subclass of tf_sparse_rl.sparsity.MaskUpdater. Rec'),
    ('Min', '{}', "--method: Unknown name in .*'Min'. Did you mean 'Mine'"),
    ('Mine', '[1]', 'Expected method_kwargs as a JSON object'),
  ],
)
def test_what_cannot_be_made_is_told(name, kwargs, expected):
  with pytest.raises(ValueError, match=expected) as error:
    _make(name, method_kwargs=kwargs)
  assert '\n' not in str(error.value)


@pytest.mark.usefixtures('_own_module')
def test_a_constructor_that_fails_keeps_its_traceback():
  with pytest.raises(modules.UserCodeError, match="KeyError: 'oh'"):
    _make('Broken')


@pytest.mark.parametrize(
  'values, expected',
  [
    ({'method': 'Mine'}, "One of your own is named as in 'my_module:"),
    ({'method': ':Mine'}, 'method of your own as module:name'),
    ({'method': 'a:b c'}, 'method of your own as module:name'),
    ({'method_kwargs': '{"a": 1}'}, 'method_kwargs with a custom method'),
    ({'method_kwargs': 'a'}, 'method_kwargs as a JSON object'),
  ],
)
def test_names_are_checked_without_their_modules(values, expected):
  with pytest.raises(ValueError, match=expected):
    config_lib.make_config(values)
