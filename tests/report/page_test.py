"""The page: whole, safe, and alive in a browser."""

import base64
import html.parser
import json
import re
import shutil
import subprocess

import pytest

from tests.report import studies
from tf_sparse_rl import runs
from tf_sparse_rl.report import (
  aggregates,
  conditions,
  findings,
  headline,
  page,
  study,
  tables,
  writing,
)

# Runs in the page and leaves what it saw in an attribute.
_PROBE = """<script>
const pictures = Array.from(document.images).map((image) => [
  image.naturalWidth, image.getBoundingClientRect().width]);
const table = document.querySelector("#%(table)s table");
const column = () => Array.from(table.tBodies[0].rows).map(
  (row) => row.cells[%(column)d].textContent);
const head = table.tHead.rows[0].cells[%(column)d];
const orders = [column()];
for (let i = 0; i < 2; i++) {
  head.querySelector("button").click();
  orders.push(column(), head.getAttribute("aria-sort"));
}
const field = document.querySelector("#runs input");
field.value = "SMALL 0.95";
field.dispatchEvent(new Event("input"));
const shown = Array.from(document.querySelectorAll("#runs tbody tr")).filter(
  (row) => row.getBoundingClientRect().height > 0);
document.body.dataset.seen = JSON.stringify({
  pictures, orders, shown: shown.map((row) => row.cells[3].textContent),
  clipped: Array.from(document.querySelectorAll('.scroll'))
    .filter((box) => box.scrollWidth > box.clientWidth)
    .map((box) => box.parentElement.id),
  frozen: getComputedStyle(table.tBodies[0].rows[0].cells[0]).position,
  narrow: Array.from(document.images).filter(
    (image) => image.naturalWidth < image.naturalHeight).length,
  overflow: document.documentElement.scrollWidth > window.innerWidth,
});
%(more)s
</script></body>"""


class _Reader(html.parser.HTMLParser):
  """Collects what a page refers to, and sees that tags are closed."""

  _VOID = ('meta', 'link', 'img', 'input', 'br', 'source')

  def __init__(self):
    super().__init__()
    self.open, self.links, self.sources, self.ids = [], [], [], []
    self.words = []

  def handle_starttag(self, tag, attrs):
    attrs = dict(attrs)
    self.links += [attrs['href']] if 'href' in attrs else []
    self.sources += [attrs['src']] if 'src' in attrs else []
    self.ids += [attrs['id']] if 'id' in attrs else []
    if tag not in self._VOID:
      self.open.append(tag)

  def handle_data(self, data):
    self.words += [data.strip()] if data.strip() else []

  def handle_endtag(self, tag):
    assert self.open.pop() == tag


def _read(index):
  reader = _Reader()
  reader.feed(index.read_text('utf-8'))
  assert reader.open == []
  return reader


def test_page_is_whole(report):
  reader = _read(report)
  assert len(set(reader.ids)) == len(reader.ids)
  for link in reader.links:
    if link.startswith('#'):
      assert link[1:] in reader.ids
    elif not link.startswith('data:'):
      assert (report.parent / link).exists(), link
  names = re.findall(r'<a href="#[^"]*">(.*?)</a>', report.read_text('utf-8'))
  assert len(set(names)) == len(names) > 10
  # Nothing comes from elsewhere: pictures are in the page itself.
  assert reader.sources
  for source in reader.sources:
    assert source.startswith('data:image/svg+xml;base64,')
    assert base64.b64decode(source.partition(',')[2]).startswith(b'<?xml')
  text = report.read_text('utf-8')
  # The main figure comes before the first table.
  assert text.index('id="dqn_iqm"') < text.index('id="dqn_claims"')
  assert not re.search(r'url\(|@import|fetch\(|XMLHttpRequest', text)


def test_every_figure_and_table_lies_beside_the_page(report):
  figures = {p.name for p in (report.parent / 'figures').iterdir()}
  names = ['distributions', 'iqm', 'over_dense', 'parameters', 'profiles']
  names += ['sample_efficiency', 'curves_Acrobot-v1', 'curves_CartPole-v1']
  assert figures == {
    f'dqn_{n}.{form}' for n in names for form in ('svg', 'png')
  }
  listed = {p.stem for p in (report.parent / 'tables').glob('*.csv')}
  assert listed == {p.stem for p in (report.parent / 'tables').glob('*.md')}
  assert listed == {
    'dqn_aggregates',
    'dqn_claims',
    'dqn_cost',
    'dqn_improvement',
    'dqn_paper',
    'dqn_returns',
    'references',
    'runs',
    'versions',
  }


def test_text_is_escaped():
  table = tables.Table(
    't',
    '<script>alert(1)</script>',
    (tables.Column('a"b'), tables.Column('run')),
    [('<img src=x>', tables.Link('a & b', 'dir/"x"?#%.json'))],
    'less < more',
  )
  summary = headline.Headline('<T>', ['<f>'], [('<1>', '<w>')], ['<warn>'])
  text = page.render(summary, [page.Section('DQN', [], [table])], [])
  for raw in ('<script>alert', '<img src=x>', '<T>', '<f>', '<1>', '<warn>'):
    assert raw not in text
  assert text.startswith('<!DOCTYPE html>')
  assert 'href="dir/%22x%22%3F%23%25.json"' in text
  assert 'less &lt; more' in text


def test_a_label_stays_a_label_wherever_it_is_shown():
  label = '"><script>alert(1)</script>'
  figure = page.ShownFigure(label, label, label, {'svg': b'<?xml'})
  table = tables.Table(
    label, label, (tables.Column(label),) * 2, [(label, None)] * 13, label
  )
  summary = headline.Headline(label, [label], [(label, label)], [label])
  text = page.render(summary, [page.Section(label, [figure], [table])], [table])
  assert text.count('<script>') == 1  # That of the page.
  reader = _Reader()
  reader.feed(text)
  assert reader.open == [] and reader.ids.count(label) == 3
  assert f'#{label}' in reader.links and f'tables/{label}.csv' in reader.links


def test_words_and_links_by_hand(tmp_path):
  columns = (
    tables.Column('method'),
    tables.Column('status'),
    tables.Column('return', 1),
    tables.Column('config'),
  )
  link = tables.Link('0', 'runs/0/config.json')
  rows = [
    ('RigL', 'finished', aggregates.Estimate(2.0, 1.0, 3.0), link),
    ('SET', 'unfinished', None, link),
  ]
  figure = page.ShownFigure('f', 'Figure', 'Caption.', {'svg': b'x'})
  sections = [
    page.Section(
      'DQN',
      [figure],
      [tables.Table('a', 'A', columns, rows, 'Note.'), _empty('b')],
    )
  ]
  summary = headline.Headline('Title', ['Finding.'], [(2, 'runs')], ['Oh.'])
  index = tmp_path / 'index.html'
  index.write_text(page.render(summary, sections, [_empty('c')]), 'utf-8')
  reader = _read(index)
  # Around them the title, the style and the script.
  assert reader.words[2:-1] == [
    *('Title', 'Finding.', '2', 'runs', 'Oh.'),
    *('DQN', 'Figure', 'A', 'b', 'About the runs', 'c', 'DQN'),
    *('Figure', 'SVG', 'Caption.'),
    *('A', 'CSV', 'Markdown', 'method', 'status', 'return'),
    *('RigL', 'finished', '2.0', '[1.0, 3.0]'),
    *('SET', 'unfinished', '–'),
    *('The same in all rows: config: 0. Note.', 'b', 'CSV', 'Markdown'),
    *('About the runs', 'c', 'CSV', 'Markdown'),
  ]
  assert reader.links[1:] == [
    *('#f', '#a', '#b', '#c', 'figures/f.svg'),
    *('tables/a.csv', 'tables/a.md'),
    *('tables/b.csv', 'tables/b.md', 'tables/c.csv', 'tables/c.md'),
  ]


def _empty(name):
  return tables.Table(name, name, (), [])


def test_numbers_sort_by_value_and_show_their_interval():
  estimate = aggregates.Estimate(-1234.56, -2000.0, 3.0)
  table = tables.Table('t', 'T', (tables.Column('x', 1),), [(estimate,)])
  text = page.render(headline.Headline('', [], [], []), [], [table])
  assert 'class="number" data-key="-1234.56">−1,234.6 <span' in text
  assert '[−2,000.0, 3.0]</span>' in text


def test_headline(report):
  text = report.read_text('utf-8')
  assert '<h1>Sparse training of DQN</h1>' in text
  assert '<b>32</b>runs finished' in text
  assert '<b>100,000</b>env steps per run' in text
  assert 'DQN has 2 seeds: too few to rank methods.' in text
  assert 'DQN, against dense networks of full size: none is clearly' in text
  assert f'<p class="rule">{findings.RULE}</p>' in text


def test_a_network_that_misses_its_sparsity_is_told(tmp_path):
  for i, (method, sparsity) in enumerate([('prune', 0.9), ('set', 0.8)]):
    studies.make_run(tmp_path / str(i), [9.0], method=method, sparsity=sparsity)
  summary = tmp_path / '0' / 'summary.json'
  text = summary.read_text('utf-8').replace('"sparsity": 0.9', '"sparsity": 0')
  summary.write_text(text, 'utf-8')
  every = conditions.group(runs.read(tmp_path))
  assert headline.build(every, study.build(every, 100)).warnings == [
    'Off target: DQN CartPole-v1 Pruning 0.9 ended with a sparsity of 0.',
    'DQN has 1 seed: too few to rank methods.',
  ]


def test_unfinished_runs_are_marked(tmp_path):
  studies.make_run(tmp_path / 'runs' / '0', [400.0], seed=0)
  studies.make_run(tmp_path / 'runs' / '1', [9.0], seed=1, finished=False)
  every = conditions.group(runs.read(tmp_path / 'runs'))
  text = writing.write(every, tmp_path / 'out', 100).read_text('utf-8')
  assert 'Unfinished: DQN CartPole-v1 RigL 0.9 has 1 of 2 seeds.' in text
  assert '<b class="unfinished">unfinished</b>' in text
  assert '<b>1 of 2</b>runs finished' in text


def test_an_older_report_is_replaced(report, tmp_path):
  out = tmp_path / 'out'
  shutil.copytree(report.parent, out)
  (out / 'notes.txt').write_text('mine', 'utf-8')
  studies.make_run(tmp_path / 'runs' / '0', [400.0])
  every = conditions.group(runs.read(tmp_path / 'runs'))
  writing.write(every, out, 100)
  assert not (out / 'figures' / 'dqn_over_dense.svg').exists()
  assert '<b>1</b>runs finished' in (out / 'index.html').read_text('utf-8')
  assert (out / 'notes.txt').read_text('utf-8') == 'mine'


def test_a_directory_with_other_files_is_refused(tmp_path):
  studies.make_run(tmp_path / 'runs' / '0', [400.0])
  every = conditions.group(runs.read(tmp_path / 'runs'))
  (tmp_path / 'figures').mkdir()
  (tmp_path / 'figures' / 'mine.svg').write_text('x', 'utf-8')
  with pytest.raises(runs.RunsError, match='with other files'):
    writing.write(every, tmp_path, 100)
  assert (tmp_path / 'figures' / 'mine.svg').exists()


def _browser():
  for name in ('chromium', 'chromium-browser', 'google-chrome', 'chrome'):
    if shutil.which(name):
      return shutil.which(name)
  return None


def _see(index, tmp_path, width, more=''):
  """Opens a page; returns (what the probe saw, what the console said)."""
  browser = _browser()
  if browser is None:
    pytest.skip('there is no Chromium on this machine')
  rows = tables_of(index)
  probe = _PROBE % {'table': 'dqn_returns', 'column': rows, 'more': more}
  copy = tmp_path / 'probed.html'
  text = index.read_text('utf-8').replace('</body>', probe)
  copy.write_text(text, 'utf-8')
  process = subprocess.run(
    [
      browser,
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--enable-logging=stderr',
      f'--user-data-dir={tmp_path}/profile',
      f'--window-size={width},900',
      '--dump-dom',
      f'file://{copy}',
    ],
    capture_output=True,
    text=True,
    timeout=120,
    check=True,
  )
  [seen] = re.findall(r'data-seen="(.*?)"', process.stdout)
  console = [x for x in process.stderr.splitlines() if 'CONSOLE' in x]
  return json.loads(html.unescape(seen)), console


def tables_of(index):
  """The column of returns in the table of returns."""
  table = (index.parent / 'tables' / 'dqn_returns.md').read_text('utf-8')
  header = [line for line in table.splitlines() if line.startswith('|')][0]
  return [cell.strip() for cell in header.split('|')[1:-1]].index('return')


def _numbers(cells):
  return [
    float(cell.split(' ')[0].replace('−', '-').replace(',', ''))
    for cell in cells
  ]


def test_a_browser_shows_figures_sorts_and_filters(report, tmp_path):
  seen, console = _see(report, tmp_path, 1280)
  assert console == []
  assert len(seen['pictures']) == 8
  for natural, shown in seen['pictures']:
    assert natural > 300 and 300 < shown < 1280
  before, up, first, down, second = seen['orders']
  assert (first, second) == ('ascending', 'descending')
  assert sorted(up) == sorted(before)
  assert _numbers(up) == sorted(_numbers(before))
  assert _numbers(down) == sorted(_numbers(before), reverse=True)
  assert seen['clipped'] == []
  assert seen['frozen'] == 'sticky'
  # Two environments, two seeds.
  assert seen['shown'] == ['Small dense 0.95'] * 4
  assert not seen['overflow']


def test_on_a_narrow_screen_nothing_hangs_over(report, tmp_path):
  seen, console = _see(report, tmp_path, 500)
  assert console == []
  assert not seen['overflow']
  # All figures have panels side by side elsewhere; here they are stacked.
  assert seen['narrow'] == 8


def test_the_browser_would_tell_of_an_error(report, tmp_path):
  _, console = _see(report, tmp_path, 800, more='nothing.there();')
  assert 'nothing is not defined' in ''.join(console)
