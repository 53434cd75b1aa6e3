"""Options: declared once, shown by every function that takes them, refused by name."""

import inspect
import pickle
from dataclasses import dataclass, fields

import pytest

import jointnet
from jointnet.errors import JointNetError
from jointnet.network.training import fit
from jointnet.options import FitOptions, PredictOptions, TrainOptions, chosen, option, takes


@dataclass(frozen=True)
class Tea:
    sugar: int = option(2, "lumps of it", least=0)
    milk: bool = option(False, "pour some in")


@takes(Tea)
def brew(pot, **options):
    """A cup of tea."""
    return pot, chosen(Tea, options)


def test_a_function_gets_what_was_given_and_the_defaults_of_the_rest():
    assert brew("brown", milk=True) == ("brown", Tea(sugar=2, milk=True))


def test_signature_and_help_list_each_option_as_a_keyword():
    assert str(inspect.signature(brew)) == "(pot, *, sugar: 'int' = 2, milk: 'bool' = False)".replace("'", "")
    assert inspect.getdoc(brew).endswith("Options:\n    sugar: lumps of it.\n    milk: pour some in.")


def test_an_unknown_option_is_a_type_error_that_names_the_closest():
    with pytest.raises(TypeError, match="no option 'sugr'; did you mean 'sugar'?"):
        brew("brown", sugr=1)
    with pytest.raises(JointNetError, match="no option 'lemon'; choose from sugar, milk"):
        brew("brown", lemon=1)


def test_a_number_below_the_least_is_refused():
    with pytest.raises(ValueError, match="sugar is -1 and must be 0 or more"):
        brew("brown", sugar=-1)


@pytest.mark.parametrize(("function", "declaration"), [
    (jointnet.predict_scene, PredictOptions), (jointnet.predict_many, PredictOptions),
    (jointnet.train, TrainOptions), (fit, FitOptions),
])
def test_each_door_shows_all_options_with_their_defaults(function, declaration):
    shown = inspect.signature(function).parameters
    assert {f.name: shown[f.name].default for f in fields(declaration)} == vars(declaration())
    for declared in fields(declaration):
        assert f"    {declared.name}: " in inspect.getdoc(function)


def test_a_misspelt_option_stops_a_prediction_and_a_training_before_they_begin(tmp_path):
    with pytest.raises(TypeError, match="did you mean 'min_area'?"):
        jointnet.predict_scene("sample-buildings", tmp_path / "gone.tif", tmp_path / "out", min_are=10)
    with pytest.raises(TypeError, match="did you mean 'min_area'?"):
        jointnet.predict_many("sample-buildings", [tmp_path / "gone.tif"], tmp_path / "out", min_are=10)
    with pytest.raises(TypeError, match="did you mean 'epochs'?"):
        jointnet.train("tiny", None, tmp_path / "out", epoch=3)
    assert not (tmp_path / "out").exists()


def test_options_travel_to_other_processes():
    given = PredictOptions(bounds=(0, 0, 1, 1), threshold={"roads": 0.3})
    assert pickle.loads(pickle.dumps(given)) == given
