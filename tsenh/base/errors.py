"""The one exception that means: the input is at fault, not the program."""

MAX_LENGTH = 300  # Of a message, in characters.


class Error(ValueError):
  """Bad input, in one sentence: what was found, what was expected.

  What a message quotes may come from a file that somebody else made: it is
  printed in one line, without control characters, and cut in its middle where
  it is longer than `MAX_LENGTH`.
  """

  def __init__(self, message: object):
    """Makes one line of the message."""
    printable = (c if c.isprintable() else " " for c in str(message))
    line = " ".join("".join(printable).split())
    if len(line) > MAX_LENGTH:
      head = MAX_LENGTH // 2
      line = f"{line[:head]}...{line[head + 3 - MAX_LENGTH :]}"
    super().__init__(line)
