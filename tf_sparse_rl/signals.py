"""The signals that ask a command to stop."""

import contextlib
import os
import signal
import sys
import threading
import time

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


def end_with_main_thread(status, seconds=30.0):
  """Has the process end soon after its main thread.

  Python itself waits forever for other threads, such as an environment's.

  Args:
    status: exit status of the process.
    seconds: for which the other threads may go on.
  """

  def watch():
    main = threading.main_thread()
    main.join()
    time.sleep(seconds)
    others = [t for t in threading.enumerate() if not t.daemon and t != main]
    if others:
      left = ', '.join(thread.name for thread in others)
      print(f'warning: These threads do not end: {left}.', file=sys.stderr)
      os._exit(status)

  threading.Thread(target=watch, daemon=True).start()


def leave(descriptors):
  """Redirects file descriptors that nobody reads to /dev/null.

  Args:
    descriptors: 1 and 2 for standard output and errors.
  """
  nowhere = os.open(os.devnull, os.O_WRONLY)
  for number in descriptors:
    os.dup2(nowhere, number)
  os.close(nowhere)
