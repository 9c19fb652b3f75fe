"""How a command is asked to stop."""

import contextlib
import signal
import threading

_STOP = (signal.SIGTERM, signal.SIGINT)


def note():
  """Notes SIGTERM and Ctrl-C instead of dying; the second Ctrl-C kills.

  Returns:
    A list that the numbers of the signals are put into.
  """
  received = []

  def receive(number, frame):
    del frame
    received.append(number)
    signal.signal(signal.SIGINT, signal.default_int_handler)

  for number in _STOP:
    signal.signal(number, receive)
  return received


@contextlib.contextmanager
def noted():
  """Notes signals within a block, in the main thread; see `note`."""
  if threading.current_thread() is not threading.main_thread():
    yield []
    return
  before = {number: signal.getsignal(number) for number in _STOP}
  try:
    yield note()
  finally:
    for number, handler in before.items():
      signal.signal(number, handler or signal.SIG_DFL)
