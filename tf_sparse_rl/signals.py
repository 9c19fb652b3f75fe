"""The signals that ask a command to stop."""

import contextlib
import os
import signal
import threading

# kill, Ctrl-C, a closed terminal, Ctrl-\, SLURM's warning of its time limit.
STOP = tuple(
  getattr(signal, name)
  for name in ('SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1')
)


def note():
  """Records the signals that ask to stop, instead of ending the process.

  After the first one Ctrl-C ends it. SIGHUP stays ignored under nohup.

  Returns:
    A list to which the numbers of the signals are added.
  """
  received = []
  terminals = [number for number in (1, 2) if os.isatty(number)]

  def receive(number, frame):
    del frame
    received.append(number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if number == signal.SIGHUP:  # Writing to a closed terminal raises.
      leave(terminals)

  for number in STOP:
    ignored = signal.getsignal(number) == signal.SIG_IGN
    if not (ignored and number == signal.SIGHUP):
      signal.signal(number, receive)
  receive.received = received
  return received


@contextlib.contextmanager
def noted():
  """Records signals within a block, in the main thread; see `note`."""
  if threading.current_thread() is not threading.main_thread():
    yield []
    return
  before = {number: signal.getsignal(number) for number in STOP}
  try:
    yield note()
  finally:
    for number, handler in before.items():
      signal.signal(number, handler or signal.SIG_DFL)


@contextlib.contextmanager
def interruptible():
  """Has Ctrl-C raise KeyboardInterrupt within a block; see `is_ctrl_c`."""
  before = signal.getsignal(signal.SIGINT)
  in_main_thread = threading.current_thread() is threading.main_thread()
  if not (in_main_thread and before is signal.default_int_handler):
    yield
    return

  def receive(number, frame):
    del frame
    receive.received.append(number)
    raise KeyboardInterrupt

  receive.received = []
  signal.signal(signal.SIGINT, receive)
  try:
    yield
  finally:
    signal.signal(signal.SIGINT, before)


def is_ctrl_c(error):
  """Whether an exception may be a Ctrl-C, not one raised by code."""
  if not isinstance(error, KeyboardInterrupt):
    return False
  if threading.current_thread() is not threading.main_thread():
    return False
  handler = signal.getsignal(signal.SIGINT)
  return callable(handler) and signal.SIGINT in getattr(
    handler, 'received', [signal.SIGINT]
  )


def leave(descriptors):
  """Redirects file descriptors that nobody reads to /dev/null.

  Args:
    descriptors: 1 and 2 for standard output and errors.
  """
  nowhere = os.open(os.devnull, os.O_WRONLY)
  for number in descriptors:
    os.dup2(nowhere, number)
  os.close(nowhere)
