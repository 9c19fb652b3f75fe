"""TensorBoard's event files in one directory.

TensorFlow's writer ignores failed writes and names its files by the time, in
whose order TensorBoard reads them, so that a clock set back mixes them up.
These files are numbered.
"""

import re
import time

from tensorboard.compat.proto import event_pb2
from tensorboard.summary.writer import record_writer

_NAME = re.compile(r'events\.out\.tfevents\.(\d+)')


class EventFiles:
  """Writes events; continues in a new file if a write fails."""

  def __init__(self, path, tell, from_env_step=None):
    """Takes the directory; the first event creates a file.

    Args:
      path: pathlib.Path of the directory, created if needed.
      tell: function of a message, called once if writes fail.
      from_env_step: of a resumed run: TensorBoard discards the events of older
        files from this env step on.
    """
    self._path, self._tell = path, tell
    self._from_env_step = from_env_step
    self._file, self._failed = None, False

  def write(self, env_step, summary):
    """Writes a summary_pb2.Summary as one event, unbuffered."""
    event = event_pb2.Event(
      wall_time=time.time(), step=env_step, summary=summary
    )
    for _ in range(2):  # The second attempt goes to a new file.
      try:
        self._open()
        _add(self._file, event)
        self._failed = False
        return
      except OSError as error:
        self._give_up(error)

  def begin(self):
    """Starts a file at once, so that superseded events are discarded."""
    try:
      self._open()
    except OSError as error:
      self._give_up(error)

  def close(self):
    """Closes the file; the next event starts another."""
    if self._file is not None:
      self._file.close()
      self._file = None

  def _open(self):
    if self._file is not None:
      return
    self._path.mkdir(exist_ok=True)
    found = [_NAME.match(entry.name) for entry in self._path.iterdir()]
    number = 1 + max((int(name[1]) for name in found if name), default=0)
    path = self._path / f'events.out.tfevents.{number:010d}'
    # Unbuffered: a kill loses nothing.
    file = open(path, 'xb', buffering=0)
    try:
      for event in self._first_events():
        _add(file, event)
    except OSError:
      file.close()
      path.unlink()
      raise
    self._file, self._from_env_step = file, None

  def _first_events(self):
    yield event_pb2.Event(wall_time=time.time(), file_version='brain.Event:2')
    if self._from_env_step is not None:
      start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
      for _ in range(2):  # TensorBoard ignores the first session start.
        yield event_pb2.Event(
          wall_time=time.time(), step=self._from_env_step, session_log=start
        )

  def _give_up(self, error):
    if not self._failed:
      self._tell(
        f'warning: Writing to {self._path} failed: {error}. Later '
        'summaries go to a new event file as soon as one can be written.'
      )
    self._failed = True
    self.close()


def _add(file, event):
  """Writes an event as a record."""
  record_writer.RecordWriter(_Whole(file)).write(event.SerializeToString())


class _Whole:
  """A file that writes all of its bytes or raises."""

  def __init__(self, file):
    self._file = file

  def write(self, content):
    while content:
      content = content[self._file.write(content) :]
