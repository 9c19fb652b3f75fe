"""The load of other processes on the cores of a measurement."""

import os
import pathlib
import resource
import time

# Maximum fraction of core time used by others on a quiet machine.
QUIET = 0.05


class Watch:
  """Measures the fraction of core time used by other processes.

  Own time is that of this process and its ended children since the start.
  """

  def __init__(self, cores=None):
    """Starts the watch on cores, a list of numbers; None: all of them."""
    self._cores = cores
    self._begin = self._now()

  def others_share(self):
    """The fraction so far, in [0, 1]."""
    seconds, busy, ours = (
      now - begin for now, begin in zip(self._now(), self._begin)
    )
    num_cores = len(self._cores or busy_of_cores())
    return min(1.0, max(0.0, (busy - ours) / (seconds * num_cores)))

  def _now(self):
    """(clock, the cores' busy seconds, CPU seconds of ours)."""
    busy = busy_of_cores()
    whose = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    used = list(map(resource.getrusage, whose))
    return (
      time.perf_counter(),
      sum(busy[core] for core in self._cores or busy),
      sum(each.ru_utime + each.ru_stime for each in used),
    )


def told(share):
  """`others_share`, whether that is quiet, and the load average; a dict."""
  return {
    'others_share': round(share, 3),
    'quiet': share <= QUIET,
    'load_average': round(os.getloadavg()[0], 2),
  }


def busy_of_cores(path='/proc/stat'):
  """`{core: seconds that it was busy since the machine started}`."""
  ticks = os.sysconf('SC_CLK_TCK')
  lines = pathlib.Path(path).read_text('utf-8').splitlines()
  rows = [line.split() for line in lines if line.startswith('cpu')][1:]
  # user, nice, system, idle, iowait, irq, softirq, steal; guests are in user.
  return {
    int(name.removeprefix('cpu')): (
      sum(map(int, values[:3])) + sum(map(int, values[5:8]))
    )
    / ticks
    for name, *values in rows
  }
