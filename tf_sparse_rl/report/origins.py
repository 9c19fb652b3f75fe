"""Date, commit, machine and commands of the runs of a report."""

from typing import NamedTuple

from tf_sparse_rl import runs


class Origin(NamedTuple):
  """The origin of runs; '' or empty if not recorded."""

  date: str
  commits: tuple  # of str
  machines: tuple  # of str
  commands: tuple  # of str

  @property
  def facts(self):
    """Lists (name, value) for the top of a page."""
    facts = {
      'Date': self.date,
      'Commit': ', '.join(self.commits),
      'Machine': ', '.join(self.machines),
    }
    return [(word, known or 'not recorded') for word, known in facts.items()]


def of(members, commands=(), date='', machine=''):
  """Makes the Origin of runs.

  Args:
    members: list of Run.
    commands: that started the runs.
    date: used if no run has one.
    machine: used if no run has one.
  """
  started = [run for run in members if run.status != runs.NOT_STARTED]
  dates = sorted({run.date for run in started if run.date})
  commits = {run.versions.get('git_commit') for run in started}
  return Origin(
    ' to '.join(dict.fromkeys((dates[0], dates[-1]))) if dates else date,
    tuple(sorted(commit[:10] for commit in commits if commit)),
    tuple(sorted({run.cpu for run in started if run.cpu})) or (machine,),
    tuple(commands),
  )
