"""Ends a run, even one that hangs, with the process it was forked from."""

import os
import select
import signal


def start(server, seconds):
  """Forks a process that ends this one when the server is gone.

  It is independent of this process, where custom code may hang. It asks for a
  checkpoint by SIGTERM, then kills.

  Args:
    server: read end of a pipe whose write end the server alone holds.
    seconds: from SIGTERM to SIGKILL.
  """
  run = os.pidfd_open(os.getpid())
  if os.fork():
    os.close(run)
    return
  status = 1
  try:
    _guard(run, server, seconds)
    status = 0
  finally:
    os._exit(status)


def _guard(run, server, seconds):
  """Waits for either of the two to end."""
  nowhere = os.open(os.devnull, os.O_RDWR)
  for number in (0, 1, 2):
    os.dup2(nowhere, number)
  for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
  if run in select.select([run, server], [], [])[0]:
    return
  signal.pidfd_send_signal(run, signal.SIGTERM)
  if not select.select([run], [], [], seconds)[0]:
    signal.pidfd_send_signal(run, signal.SIGKILL)
