"""Times several candidates in turn, each in a process of its own."""

import contextlib
import json
import os
import statistics
import subprocess
import tempfile
import time

from tf_sparse_rl.benchmarks import load


class CandidateError(Exception):
  """A candidate failed; the message is its output."""


def measure(commands, rounds, cores=None):
  """Executes each command once per round, under the same load.

  Args:
    commands: `{name: command}`; a command prints one JSON object with
      `env_steps_per_sec` and `env_steps_per_cpu_sec`. The others are compared
      with the first.
    rounds: number of rounds.
    cores: numbers of cores. A command is executed on each of them at once,
      pinned, and its speed is the sum. None: one process on all cores.

  Returns:
    Dict of JSON types, see docs/performance.md: for each candidate its speeds
    by round, the ratios of the first one to it, and the fraction of the cores
    used by others; and whether the machine was quiet.

  Raises:
    CandidateError: if a command fails.
  """
  told = {name: [] for name in commands}
  for _ in range(rounds):
    for name, command in commands.items():
      told[name].append(_run_on(name, command, cores))
  first = next(iter(commands))
  shares = [run['others_share'] for runs in told.values() for run in runs]
  return {
    'pinned_cores': cores,
    'num_cores': os.cpu_count(),
    'rounds': rounds,
    **load.told(max(shares)),
    'candidates': {
      name: _candidate(first, told[first], runs) for name, runs in told.items()
    },
  }


def _run_on(name, command, cores):
  """Executes one round of a candidate; returns its JSON, speeds and load."""
  watch = load.Watch(cores)
  runs = run_together(name, command, cores or [None])
  summed = ('env_steps_per_sec', 'env_steps_per_cpu_sec')
  sums = {
    figure: round(sum(run[figure] for run in runs), 1) for figure in summed
  }
  return {**runs[0], **sums, 'others_share': round(watch.others_share(), 3)}


def _candidate(first, first_runs, runs):
  """Summarizes a candidate, compared with the first one."""
  speeds, per_cpu, shares = (
    [run[figure] for run in runs]
    for figure in (
      *('env_steps_per_sec', 'env_steps_per_cpu_sec', 'others_share'),
    )
  )
  known = ('version', 'blas', 'machine')
  peaks = [run['peak_memory_mib'] for run in runs if 'peak_memory_mib' in run]
  return {
    'env_steps_per_sec': speeds,
    'median': statistics.median(speeds),
    'env_steps_per_cpu_sec': per_cpu,
    'others_share': shares,
    **({'peak_memory_mib': peaks} if peaks else {}),
    f'{first}_is_faster_by': spread(
      [a['env_steps_per_sec'] / b for a, b in zip(first_runs, speeds)]
    ),
    f'{first}_is_faster_by_cpu': spread(
      [a['env_steps_per_cpu_sec'] / b for a, b in zip(first_runs, per_cpu)]
    ),
    **{name: runs[0][name] for name in known if name in runs[0]},
  }


def run(name, command):
  """Executes a candidate; returns its JSON. See `measure` for errors."""
  return run_together(name, command, [None])[0]


def run_together(name, command, cores):
  """Executes a candidate in a process for each core, at the same time.

  Args:
    name: of the candidate.
    command: list of str.
    cores: list of core numbers, or None for an unpinned process.

  Returns:
    List of their JSON outputs.

  Raises:
    CandidateError: if one fails; the others have ended then.
  """
  # A process that fills a pipe would block.
  with contextlib.ExitStack() as stack:
    errors = [stack.enter_context(tempfile.TemporaryFile('w+')) for _ in cores]
    processes = [
      subprocess.Popen(
        command if core is None else ['taskset', '-c', str(core), *command],
        stdout=subprocess.PIPE,
        stderr=error,
        text=True,
      )
      for core, error in zip(cores, errors)
    ]
    printed = [process.communicate()[0] for process in processes]
    for process, error in zip(processes, errors):
      if process.returncode:
        error.seek(0)
        raise CandidateError(f'{name} failed: {error.read().strip()[-2000:]}')
  return [json.loads(stdout) for stdout in printed]


def median_ms(step, calls):
  """Median milliseconds of a call of `step`, a function."""
  times = []
  for _ in range(calls):
    begin = time.perf_counter()
    step()
    times.append(time.perf_counter() - begin)
  return round(statistics.median(times) * 1000, 4)


def spread(values):
  """Minimum, median and maximum of values; a dict."""
  return {
    'min': round(min(values), 3),
    'median': round(statistics.median(values), 3),
    'max': round(max(values), 3),
  }
