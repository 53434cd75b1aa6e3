"""Our errors are those of Python, too, so that they can be caught as either."""

import pytest

from jointnet.errors import InputError, JointNetError, MissingPackageError, NotFoundError, UnknownOptionError


@pytest.mark.parametrize(("ours", "pythons"), [
    (InputError, ValueError), (NotFoundError, KeyError), (MissingPackageError, ImportError),
    (UnknownOptionError, TypeError),
])
def test_each_is_also_what_it_was_always_caught_as(ours, pythons):
    with pytest.raises(pythons, match="^a sentence$"):  # a KeyError alone would put it in quotes
        raise ours("a sentence")
    assert issubclass(ours, JointNetError)
