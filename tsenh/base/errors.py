"""The one exception that means: the input is at fault, not the program."""


class Error(ValueError):
  """Bad input, in one sentence: what was found, what was expected."""
