"""What goes wrong for a reason that its user can mend: every such error of this package is a `JointNetError`.

Each is also the error of Python that fits it, as `ValueError`, so that it can be caught as either. A fault of a disk or
a file stays an `OSError`. Anything else that comes out of the package is a mistake in it.
"""


class JointNetError(Exception):
    """The message says what was received, what was expected and what to do; the command line shows it alone."""


class InputError(JointNetError, ValueError):
    """An argument, an option or what a file holds, that cannot be used."""


class NotFoundError(JointNetError, KeyError):
    """A name that a scene or a dataset does not have."""

    def __str__(self) -> str:
        """The message as it is; a KeyError would show it in quotes."""
        return str(self.args[0]) if self.args else ""


class MissingPackageError(JointNetError, ImportError):
    """A package that is needed for what was asked, and not installed."""


class UnknownOptionError(JointNetError, TypeError):
    """An option that does not exist; the message names the one that was probably meant."""
