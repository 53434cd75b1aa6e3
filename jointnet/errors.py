"""What goes wrong for a reason that its user can mend: every such error of this package is a `JointNetError`."""


class JointNetError(Exception):
    """The message says what was received, what was expected and what to do; the command line shows it alone.

    Its kinds are also the errors of Python that they were always caught as, as `ValueError`.
    """


class UnknownOptionError(JointNetError, TypeError):
    """An option that does not exist; the message names the one that was probably meant."""


class OptionError(JointNetError, ValueError):
    """An option whose value cannot be used."""
