"""How a command is asked to stop."""

import signal


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

  for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, receive)
  return received
