"""Exceptions of isthmus; their text is the text that the command line prints."""


class Error(RuntimeError):
    """Anything that isthmus refuses or cannot do."""


class InputError(Error, ValueError):
    """Bad input: a scenario, a trace, a profile or an argument.

    Attributes
    ----------
    problems : list of str
        The single problems, each with its place (``file:line:col: /json/pointer: message``).
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.problems: list[str] = text.splitlines()


class InternalError(Error):
    """A broken promise inside isthmus: please report it."""
