"""Figures show the numbers that they are given, or are left out."""

import re

import numpy as np
import pytest

from tests.report import studies
from tf_sparse_rl.report import (
  catalogue,
  curve_figures,
  drawing,
  figures,
  panels,
  theme,
)


@pytest.fixture(autouse=True)
def settings():
  """Figures are made as for a report."""
  with drawing.settings():
    yield


def _line(axis, label):
  [line] = [x for x in axis.get_lines() if x.get_label() == label]
  return line


def _legend(figure):
  return [text.get_text() for text in figure.legends[0].get_texts()]


def test_parameters_by_hand(dqn_study):
  figure = figures.return_against_parameters(dqn_study)
  axes = figure.axes
  titles = [axis.get_title() for axis in axes]
  assert titles == [
    'All environments, erk',
    'Acrobot-v1, erk',
    'CartPole-v1, erk',
    'All environments, uniform',
    'Acrobot-v1, uniform',
    'CartPole-v1, uniform',
  ]
  iqm = [
    a.estimates['iqm'].value
    for a in dqn_study.aggregates
    if a.cell.label in ('RigL 0.95', 'RigL 0.8')
  ]
  assert _line(axes[0], 'RigL').get_ydata() == pytest.approx(iqm[::-1])
  rigl = _line(axes[1], 'RigL')
  expected = sorted(
    (r.costs['parameters'], r.final_return.value)
    for r in dqn_study.results
    if r.env_name == 'Acrobot-v1' and r.cell.label in ('RigL 0.8', 'RigL 0.95')
  )
  # Methods of one size lie side by side.
  np.testing.assert_allclose(
    list(zip(*rigl.get_data())), expected, rtol=3 * figures._DODGE
  )
  assert axes[0].get_xscale() == 'log'
  # Of the uniform runs there is one, beside both kinds of dense ones.
  assert len(_line(axes[4], 'RigL').get_xdata()) == 1
  assert _legend(figure) == ['Dense', 'Small dense', 'Static', 'RigL']


def test_iqm_by_hand(dqn_study):
  figure = figures.iqm(dqn_study)
  assert [a.get_title() for a in figure.axes] == [
    'sparsity 0.8',
    'sparsity 0.95',
  ]
  dense = dqn_study.aggregate('dense').estimates['iqm'].value
  for axis, sparsity in zip(figure.axes, (0.8, 0.95)):
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names == ['Small dense', 'Static', 'RigL']
    dots = [x for x in axis.get_lines() if x.get_marker() == 'o']
    assert [x.get_xdata()[0] for x in dots] == pytest.approx(
      [
        a.estimates['iqm'].value
        for a in dqn_study.aggregates
        if a.cell.sparsity == sparsity and a.cell.is_plain
      ]
    )
    assert _line(axis, 'Dense').get_xdata() == [dense, dense]


def test_learning_curves_are_means_and_mark_what_is_unfinished(
  tmp_path, read_study
):
  for seed, returns in enumerate(([10.0, 20.0], [30.0, 60.0])):
    studies.make_run(tmp_path / f'rigl{seed}', returns, seed=seed)
  studies.make_run(tmp_path / 'set', [5.0, 6.0], method='set', finished=False)
  study = read_study(tmp_path)
  figure = curve_figures.learning_curves(study, 'CartPole-v1')
  set_, rigl = figure.axes
  assert set_.get_title() == 'SET, sparsity 0.9, unfinished'
  assert rigl.get_title() == 'RigL, sparsity 0.9'
  for axis, method, own, other in (
    (rigl, 'rigl', [20, 40], [5, 6]),
    (set_, 'set', [5, 6], [20, 40]),
  ):
    color = drawing.style(method)['color']
    colored = [x for x in axis.get_lines() if x.get_color() == color]
    assert colored[0].get_ydata().tolist() == own
    assert colored[0].get_xdata().tolist() == [0, 100_000]
    assert _line(axis, 'Other methods').get_ydata().tolist() == other
  thin = [x for x in rigl.get_lines() if x.get_linewidth() < 1]
  assert [x.get_ydata().tolist() for x in thin] == [[10, 20], [30, 60]]


def test_long_curves_keep_their_ends():
  chosen = curve_figures._some(501)
  assert len(chosen) == 60 and (chosen[0], chosen[-1]) == (0, 500)
  assert curve_figures._some(3).tolist() == [0, 1, 2]


def test_sample_efficiency_ends_at_the_iqm_of_the_last_evaluations(dqn_study):
  figure = curve_figures.sample_efficiency(dqn_study)
  # One row per method, one column per sparsity.
  assert [a.get_title() for a in figure.axes][:3] == [
    'Small dense, sparsity 0.8',
    'Small dense, sparsity 0.95',
    'Static, sparsity 0.8',
  ]
  line = _line(figure.axes[0], 'Dense')
  assert (line.get_xdata()[0], line.get_xdata()[-1]) == (0, 1)
  # Dense runs are drawn in every panel, other methods in grey.
  for axis in figure.axes[1:]:
    again = _line(axis, 'Dense').get_ydata()
    np.testing.assert_array_equal(line.get_ydata(), again)
    labels = [x.get_label() for x in axis.get_lines()]
    assert labels.count('Other methods') == 2
  assert _legend(figure) == ['Dense', 'Other methods']


def test_profiles_fall_from_all_runs_to_none(dqn_study):
  figure = curve_figures.performance_profiles(dqn_study)
  for axis in figure.axes:
    for line in axis.get_lines():
      shares = line.get_ydata()
      assert (np.diff(shares) <= 0).all()
    assert _line(axis, 'Dense').get_ydata()[0] == 1
    assert _line(axis, 'Dense').get_ydata()[-1] == 0


def test_panels_are_stacked_with_all_their_words(dqn_study):
  figure = figures.return_against_parameters(dqn_study)
  wide = figure.get_figwidth()
  assert drawing.stack(figure)
  assert figure.get_figwidth() < 0.5 * wide
  places = [axis.get_subplotspec() for axis in figure.axes]
  assert [place.rowspan.start for place in places] == list(range(6))
  assert {place.colspan.start for place in places} == {0}
  assert all(axis.get_xlabel() == 'active parameters' for axis in figure.axes)
  labels = [axis.get_ylabel() for axis in figure.axes]
  assert labels == ['IQM', 'final return', 'final return'] * 2
  # One below the other is as narrow as it gets.
  assert not drawing.stack(figure)


def test_improvement_shows_every_pair(dqn_study):
  figure = figures.improvement(dqn_study)
  names = [[t.get_text() for t in a.get_yticklabels()] for a in figure.axes]
  assert names[1] == ['RigL 0.95', 'RigL 0.8', 'Static 0.95', 'Static 0.8']
  assert len(names[0]) == 6


def test_allocations(dqn_study):
  figure = panels.distributions(dqn_study)
  assert _legend(figure) == ['RigL, erk', 'RigL, uniform']


def test_weight_decay_has_equal_steps_between_values(sac_study):
  figure = panels.weight_decay(sac_study)
  [axis] = figure.axes
  # RigL's preset and the other; dense has one value and is no line.
  labels = [t.get_text() for t in axis.get_xticklabels()]
  assert labels == ['1e-06', '0.001']
  plain, decayed = (
    next(r for r in sac_study.results if r.cell.variant == variant)
    for variant in ('', 'weight_decay=0.001')
  )
  plain = next(r for r in sac_study.results if r.cell.label == 'RigL 0.8')
  assert _line(axis, 'RigL 0.8').get_ydata().tolist() == [
    plain.final_return.value,
    decayed.final_return.value,
  ]


def test_initialization_is_no_and_yes(sac_study):
  [axis] = panels.initialization(sac_study).axes
  assert [t.get_text() for t in axis.get_xticklabels()] == ['no', 'yes']


def test_actor_share_leaves_runs_without_shares_out(sac_study):
  figure = panels.actor_share(sac_study)
  [axis] = figure.axes
  assert [t.get_text() for t in axis.get_xticklabels()] == ['0.1', '0.5']
  assert _legend(figure) == ['RigL budget 0.2']


def test_noise_by_hand(sac_study):
  [axis] = panels.noise_robustness(sac_study).axes
  line = _line(axis, 'RigL')
  assert line.get_xdata().tolist() == pytest.approx([0, 10], abs=0.1)
  assert line.get_ydata().tolist() == [4000, 1000]


def test_without_data_there_is_no_figure(tmp_path, read_study):
  studies.make_run(
    tmp_path / 'x', agent='sac', env_name='Pendulum-v1', returns=[-1.0]
  )
  study = read_study(tmp_path)
  drawn = [name for name, *_ in catalogue.draw_all(study)]
  assert drawn == ['parameters', 'curves_Pendulum-v1']


@pytest.mark.parametrize('form', ['svg', 'png'])
def test_files_are_the_same_each_time(dqn_study, form):
  first, second = (
    drawing.to_bytes(figures.iqm(dqn_study), form) for _ in range(2)
  )
  assert first == second
  assert first.startswith({'svg': b'<?xml', 'png': b'\x89PNG'}[form])


def test_methods_differ_in_colour_in_marker_and_in_name():
  methods = drawing.conditions.METHODS
  for key in ('color', 'marker', 'label'):
    assert len({drawing.style(m)[key] for m in methods}) == len(methods)


def test_every_colour_of_a_figure_has_one_for_the_night(dqn_study):
  for draw in (
    figures.iqm,
    figures.return_against_parameters,
    curve_figures.performance_profiles,
  ):
    text = drawing.to_bytes(draw(dqn_study), 'svg').decode()
    style, _, drawn = text.partition('</style>')
    assert '@media (prefers-color-scheme:dark)' in style
    used = set(re.findall(r'(?:fill|stroke): (#[0-9a-f]{6})', drawn))
    assert {theme.INK, theme.CARD, theme.GRID} <= used
    for color in used:
      assert f'[style*="fill: {color}"]{{fill:#' in style
      assert f'[style*="stroke: {color}"]{{stroke:#' in style
    # Nothing is black because it does not say what it is.
    assert '#000000' not in drawn


def test_values_of_a_field_have_a_figure(tmp_path, read_study):
  value = 0
  for rate in (1e-3, 1e-4):
    for size in (64, 256):
      for seed in (0, 1):
        value += 10
        studies.make_run(
          tmp_path / str(value),
          [float(value)],
          learning_rate=rate,
          batch_size=size,
          seed=seed,
        )
  study = read_study(tmp_path)
  drawn = {name: figure for name, *_, figure in catalogue.draw_all(study)}
  assert [*drawn] == ['field_batch_size', 'field_learning_rate']
  [axis] = drawn['field_learning_rate'].axes
  assert [t.get_text() for t in axis.get_xticklabels()] == ['0.0001', '0.001']
  assert _legend(drawn['field_learning_rate']) == [
    'RigL 0.9 batch_size=256',
    'RigL 0.9 batch_size=64',
  ]
  # Means of two seeds each: 1e-3 was first.
  line = _line(axis, 'RigL 0.9 batch_size=64')
  assert line.get_ydata().tolist() == [55, 15]
