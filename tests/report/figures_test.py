"""Figures show the numbers that they are given, or are left out."""

import numpy as np
import pytest

from tests.report import studies
from tf_sparse_rl.report import catalogue, drawing, figures, panels


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
    'Acrobot-v1, erk',
    'CartPole-v1, erk',
    'Acrobot-v1, uniform',
    'CartPole-v1, uniform',
  ]
  rigl = _line(axes[0], 'RigL')
  expected = sorted(
    (r.costs['parameters'], r.final_return.value)
    for r in dqn_study.results
    if r.env_name == 'Acrobot-v1' and r.cell.label in ('RigL 0.8', 'RigL 0.95')
  )
  np.testing.assert_allclose(list(zip(*rigl.get_data())), expected)
  assert axes[0].get_xscale() == 'log'
  # Of the uniform runs there is one, beside both kinds of dense ones.
  assert len(_line(axes[2], 'RigL').get_xdata()) == 1
  assert _legend(figure) == ['Dense', 'Small dense', 'Static', 'RigL']


def test_iqm_bars_by_hand(dqn_study):
  figure = figures.iqm_bars(dqn_study)
  [axis] = figure.axes
  heights = [bar.get_height() for bar in axis.patches if bar.get_width() < 1]
  expected = [
    a.estimates['iqm'].value
    for a in dqn_study.aggregates
    if a.cell.method != 'dense' and a.cell.distribution != 'uniform'
  ]
  assert heights == pytest.approx(expected)
  labels = [label.get_text() for label in axis.get_xticklabels()]
  assert labels == ['0.8', '0.95']


def test_learning_curves_are_means_and_mark_what_is_unfinished(
  tmp_path, read_study
):
  for seed, returns in enumerate(([10.0, 20.0], [30.0, 60.0])):
    studies.make_run(tmp_path / f'rigl{seed}', returns, seed=seed)
  studies.make_run(tmp_path / 'set', [5.0, 6.0], method='set', finished=False)
  figure = figures.learning_curves(read_study(tmp_path))
  [axis] = figure.axes
  assert axis.get_title() == 'CartPole-v1, sparsity 0.9'
  assert _line(axis, 'RigL').get_ydata().tolist() == [20, 40]
  assert _line(axis, 'RigL').get_xdata().tolist() == [0, 100_000]
  assert _line(axis, 'SET (unfinished)').get_ydata().tolist() == [5, 6]
  thin = [x for x in axis.get_lines() if x.get_linewidth() < 1]
  assert [x.get_ydata().tolist() for x in thin] == [[10, 20], [30, 60]]


def test_long_curves_keep_their_ends():
  chosen = figures._some(501)
  assert len(chosen) == 60 and (chosen[0], chosen[-1]) == (0, 500)
  assert figures._some(3).tolist() == [0, 1, 2]


def test_sample_efficiency_ends_at_the_iqm_of_the_last_evaluations(dqn_study):
  figure = figures.sample_efficiency(dqn_study)
  assert [a.get_title() for a in figure.axes] == [
    'sparsity 0.8',
    'sparsity 0.95',
  ]
  line = _line(figure.axes[0], 'Dense')
  assert (line.get_xdata()[0], line.get_xdata()[-1]) == (0, 1)
  # Dense runs are drawn in every panel.
  again = _line(figure.axes[1], 'Dense').get_ydata()
  np.testing.assert_array_equal(line.get_ydata(), again)


def test_profiles_fall_from_all_runs_to_none(dqn_study):
  figure = figures.performance_profiles(dqn_study)
  for axis in figure.axes:
    for line in axis.get_lines():
      shares = line.get_ydata()
      assert (np.diff(shares) <= 0).all()
    assert _line(axis, 'Dense').get_ydata()[0] == 1
    assert _line(axis, 'Dense').get_ydata()[-1] == 0


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
  assert line.get_xdata().tolist() == [0, 10]
  assert line.get_ydata().tolist() == [4000, 1000]


def test_without_data_there_is_no_figure(tmp_path, read_study):
  studies.make_run(
    tmp_path / 'x', agent='sac', env_name='Pendulum-v1', returns=[-1.0]
  )
  study = read_study(tmp_path)
  drawn = [e.name for e in catalogue.FIGURES if e.draw(study) is not None]
  assert drawn == ['parameters', 'curves']


@pytest.mark.parametrize('form', ['svg', 'png'])
def test_files_are_the_same_each_time(dqn_study, form):
  first, second = (
    drawing.to_bytes(figures.iqm_bars(dqn_study), form) for _ in range(2)
  )
  assert first == second
  assert first.startswith({'svg': b'<?xml', 'png': b'\x89PNG'}[form])


def test_methods_differ_in_colour_in_marker_and_in_name():
  methods = drawing.conditions.METHODS
  for key in ('color', 'marker', 'label'):
    assert len({drawing.style(m)[key] for m in methods}) == len(methods)
