"""How a command is asked to stop."""

import contextlib
import os
import signal
import threading

# kill, Ctrl-C, a closed terminal, Ctrl-\, and SLURM's warning before its limit.
STOP = tuple(
  getattr(signal, name)
  for name in ('SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1')
)


def note():
  """Notes the signals that ask to stop instead of dying by them.

  After the first one Ctrl-C kills. SIGHUP stays ignored where it is, as under
  nohup.

  Returns:
    A list that the numbers of the signals are put into.
  """
  received = []
  terminals = [number for number in (1, 2) if os.isatty(number)]

  def receive(number, frame):
    del frame
    received.append(number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if number == signal.SIGHUP:  # Writes to a closed terminal are errors.
      leave(terminals)

  for number in STOP:
    ignored = signal.getsignal(number) == signal.SIG_IGN
    if not (ignored and number == signal.SIGHUP):
      signal.signal(number, receive)
  receive.received = received
  return received


@contextlib.contextmanager
def noted():
  """Notes signals within a block, in the main thread; see `note`."""
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
  """Ctrl-C is as Python has it within a block, but `is_ctrl_c` knows of it."""
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
  """Whether an exception may come from the keyboard, not from who raised it."""
  if not isinstance(error, KeyboardInterrupt):
    return False
  if threading.current_thread() is not threading.main_thread():
    return False
  handler = signal.getsignal(signal.SIGINT)
  return callable(handler) and signal.SIGINT in getattr(
    handler, 'received', [signal.SIGINT]
  )


def leave(descriptors):
  """Sends what is written to file descriptors nowhere: no one reads it now.

  Args:
    descriptors: 1 and 2 for standard output and errors.
  """
  nowhere = os.open(os.devnull, os.O_WRONLY)
  for number in descriptors:
    os.dup2(nowhere, number)
  os.close(nowhere)
