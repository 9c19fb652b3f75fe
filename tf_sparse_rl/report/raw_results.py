"""The raw results of a study in three small files.

evaluations.csv.gz    one line per evaluation: run, env_step, return_mean,
                      num_episodes, sparsity, env_steps_per_sec, and a column
                      for each tag of diagnostics
runs.jsonl.gz         one line per run: id; config, the content of config.json;
                      summary, that of summary.json; noise, if evaluated
study.json            the commands of the runs; date and machine, if runs do
                      not have them

A report can be made from them alone. The same runs give the same bytes.
"""

import csv
import dataclasses
import gzip
import io
import json
import math
import pathlib
import zlib

from tf_sparse_rl import config as config_lib
from tf_sparse_rl import files, runs
from tf_sparse_rl.report import completeness

EVALUATIONS, RUNS = 'evaluations.csv.gz', 'runs.jsonl.gz'
STUDY = 'study.json'
FILES = (EVALUATIONS, RUNS, STUDY)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RawEvaluation(runs.Record):
  """A line of evaluations.csv.gz."""

  env_step: int
  return_mean: float
  num_episodes: int
  sparsity: float
  env_steps_per_sec: float
  diagnosis: dict[str, float] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study(runs.Record):
  """The content of study.json, the origin of the runs."""

  commands: list[str] = dataclasses.field(default_factory=list)
  date: str = ''
  machine: str = ''

  @classmethod
  def from_json(cls, values):
    """Checks a JSON object. See base class."""
    return super().from_json({'commands': [], **values})


_COLUMNS = tuple(
  f.name for f in dataclasses.fields(RawEvaluation) if f.name != 'diagnosis'
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Line(runs.Record):
  """A line of runs.jsonl.gz."""

  id: str
  config: dict
  summary: dict
  noise: list[dict] | None = None


def read(directory):
  """Loads raw results.

  Args:
    directory: has the files of this module.

  Returns:
    (list of Run, sorted by name, whose results are RawEvaluations; Study).

  Raises:
    RunsError: if a file is missing or damaged.
  """
  directory = pathlib.Path(directory)
  by_run = _read_evaluations(directory / EVALUATIONS)
  found = []
  path = directory / RUNS
  for i, text in enumerate(_unpacked(path).splitlines(), start=1):
    try:
      line = _Line.from_json(json.loads(text))
      found.append(_run(line, path, by_run.pop(line.id, [])))
    except (ValueError, RecursionError) as error:
      raise runs.RunsError(f'{path}, line {i}, is damaged: {error}.') from error
  if not found:
    raise runs.RunsError(f'Expected one line per run in {path}. Received none.')
  if by_run:
    raise runs.RunsError(
      f'Expected every run of {EVALUATIONS} in {path}. Received evaluations '
      f'of others too: {", ".join(sorted(by_run))}.'
    )
  return sorted(found, key=lambda run: run.name), _read_study(directory)


def write(every, directory, commands=(), base=None):
  """Writes the conditions whose seeds are all finished.

  Args:
    every: list of Condition, as read from directories of runs.
    directory: created if needed; older raw results there are replaced.
    commands: that started the runs.
    base: directory of raw results that these runs are added to, or None. A run
      of the same id is replaced. It may be `directory`.

  Returns:
    List of the Conditions left out.

  Raises:
    RunsError: if no condition is finished, or a file of `base` is missing or
      damaged.
  """
  left_out = [condition for condition, _ in completeness.missing_seeds(every)]
  kept = [c for c in every if c not in left_out]
  if not kept:
    raise runs.RunsError(
      'Expected a condition of which every seed is finished. Received none.'
    )
  members = [run for condition in kept for run in condition.runs]
  lines = {run.name: _to_line(run) for run in members}
  rows = [row for run in members for row in _to_rows(run)]
  study = Study()
  if base is not None:
    base = pathlib.Path(base)
    _, study = read(base)  # Checks its files.
    older = map(json.loads, _unpacked(base / RUNS).splitlines())
    lines = {line['id']: line for line in older} | lines
    older = csv.DictReader(io.StringIO(_unpacked(base / EVALUATIONS)))
    names = {run.name for run in members}
    rows += [row for row in older if row['run'] not in names]
  new = [command for command in commands if command not in study.commands]
  study = dataclasses.replace(study, commands=[*study.commands, *new])
  directory = pathlib.Path(directory)
  files.make_directory(directory)
  files.write(directory / EVALUATIONS, _packed(_to_csv(rows)))
  text = ''.join(json.dumps(lines[name]) + '\n' for name in sorted(lines))
  files.write(directory / RUNS, _packed(text))
  files.write_json(directory / STUDY, study.to_json(), indent=2)
  return left_out


def _to_rows(run):
  """Lists the rows of evaluations.csv.gz of a run, dicts by column."""
  return [
    {
      'run': run.name,
      **{name: vars(e)[name] for name in _COLUMNS if name != 'num_episodes'},
      'num_episodes': len(e.returns),
      **(e.diagnosis or {}),
    }
    for e in run.results
  ]


def _to_csv(rows):
  """Formats evaluations.csv.gz. The order of the rows of a run is kept."""
  fixed = ['run', *_COLUMNS]
  tags = sorted({column for row in rows for column in row}.difference(fixed))
  text = io.StringIO()
  writer = csv.DictWriter(text, [*fixed, *tags], lineterminator='\n')
  writer.writeheader()
  writer.writerows(sorted(rows, key=lambda row: row['run']))
  return text.getvalue()


def _to_line(run):
  """Makes a line of runs.jsonl.gz, a dict."""
  config = json.loads(files.read(run.path / 'config.json'))
  line = {'id': run.name, 'config': config, 'summary': run.summary.to_json()}
  if run.noise:
    line['noise'] = [level.to_json() for level in run.noise]
  return line


def _run(line, path, results):
  """Makes the Run of a line.

  Raises:
    ValueError: for invalid content.
  """
  config = config_lib.make_config(config_lib.values_of(line.config, path))
  origin = runs.Origin.from_json(line.config)
  return runs.Run(
    line.id,
    path.parent,
    config,
    versions=origin.versions or {'tf_sparse_rl': 'unknown'},
    results=results,
    summary=runs.Summary.from_json(line.summary),
    noise=[runs.NoiseLevel.from_json(level) for level in line.noise or []],
    date=origin.date,
    cpu=origin.cpu,
  )


def _read_evaluations(path):
  """Reads `{run: list of RawEvaluation}`, in order."""
  reader = csv.reader(io.StringIO(_unpacked(path)))
  try:
    header, *rows = filter(None, reader)
  except (csv.Error, ValueError) as error:
    raise runs.RunsError(
      f'{path}, line {reader.line_num}, is damaged: {error}.'
    ) from error
  if tuple(header[: 1 + len(_COLUMNS)]) != ('run', *_COLUMNS):
    raise runs.RunsError(
      f'Expected the columns run, {", ".join(_COLUMNS)} in {path}. Received: '
      f'{", ".join(header)}.'
    )
  tags = header[1 + len(_COLUMNS) :]
  by_run = {}
  for i, (name, *row) in enumerate(rows, start=2):
    try:
      evaluation = _evaluation(row, tags)
    except (ValueError, OverflowError) as error:
      raise runs.RunsError(f'{path}, line {i}, is damaged: {error}.') from error
    by_run.setdefault(name, []).append(evaluation)
  return by_run


def _evaluation(row, tags):
  """Parses a row to a RawEvaluation."""
  if len(row) != len(_COLUMNS) + len(tags):
    raise ValueError(
      f'Expected {1 + len(_COLUMNS) + len(tags)} values. Received: '
      f'{1 + len(row)}'
    )
  whole = ('env_step', 'num_episodes')
  values = {
    name: int(text) if name in whole else float(text)
    for name, text in zip(_COLUMNS, row)
  }
  found = zip(tags, row[len(_COLUMNS) :])
  diagnosis = {tag: float(text) for tag, text in found if text}
  if not all(map(math.isfinite, values.values())):
    raise ValueError(f'Expected finite numbers. Received: {", ".join(row)}')
  return RawEvaluation(**values, diagnosis=diagnosis or None)


def _read_study(directory):
  """Reads the Study; an empty one if there is no file."""
  path = directory / STUDY
  try:
    return Study.from_json(json.loads(files.read(path)))
  except FileNotFoundError:
    return Study()
  except (OSError, ValueError, TypeError, RecursionError) as error:
    raise runs.RunsError(f'{path} is damaged: {error}.') from error


def _unpacked(path):
  try:
    return gzip.decompress(files.read(path)).decode()
  except (FileNotFoundError, NotADirectoryError):
    raise runs.RunsError(
      f'Expected raw results in {path.parent}: {EVALUATIONS} and {RUNS}. '
      f'Received none. Write them with python -m tf_sparse_rl.report '
      '--sweep_dir=DIR --raw_out=DIR.'
    ) from None
  except (EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
    raise runs.RunsError(f'{path} is damaged: {error}.') from error


def _packed(text):
  return gzip.compress(text.encode(), mtime=0)
