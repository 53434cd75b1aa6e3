"""Edits of shapes: what each step changes, and that every step can be taken back."""

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from jointnet.data.edits import EditError, Shape, ShapeEditor

SQUARE = [(0, 0), (10, 0), (10, 10), (0, 10)]


def test_a_drawn_polygon_is_there_and_undo_takes_it_away_and_redo_brings_it_back():
    editor = ShapeEditor()
    (number, shape), = editor.add("buildings", SQUARE).items()
    assert shape.geometry.area == 100
    assert editor.undo() == {number: None}
    assert editor.shapes == {}
    assert editor.redo() == {number: shape}
    assert editor.redo() == {}


def test_a_deleted_shape_comes_back_under_its_number():
    editor = ShapeEditor([Shape("buildings", shapely.box(0, 0, 4, 4), {"height": 7})])
    editor.delete(0)
    assert editor.of("buildings") == []
    editor.undo()
    assert editor.shapes[0].columns == {"height": 7}


def test_a_new_step_ends_what_could_be_redone():
    editor = ShapeEditor()
    editor.add("buildings", SQUARE)
    editor.undo()
    editor.add("buildings", SQUARE)
    assert not editor.can_redo


def test_a_polygon_that_crosses_itself_becomes_its_two_halves():
    """A bow tie over 10 x 10: two triangles of 25."""
    added = ShapeEditor().add("buildings", [(0, 0), (10, 10), (10, 0), (0, 10)])
    assert [shape.geometry.area for shape in added.values()] == [25, 25]


@pytest.mark.parametrize("points", [[(0, 0), (5, 5)], [(0, 0), (0, 0), (1, 1), (0, 0)], [(0, 0), (2, 2), (4, 4)], []])
def test_corners_that_enclose_nothing_are_refused(points):
    editor = ShapeEditor()
    with pytest.raises(EditError):
        editor.add("buildings", points)
    assert not editor.can_undo


def test_a_road_is_a_line():
    shape, = ShapeEditor().add("roads", [(0, 0), (3, 4)]).values()
    assert shape.geometry.length == 5


def test_a_cut_divides_makes_holes_and_removes():
    """A strip over the middle of 10 x 10 leaves two parts of 40; a courtyard of 2 x 2 leaves a hole."""
    editor = ShapeEditor()
    editor.add("buildings", SQUARE)
    editor.cut("buildings", [(4, -1), (6, -1), (6, 11), (4, 11)])
    assert sorted(s.geometry.area for s in editor.of("buildings")) == [40, 40]
    editor.cut("buildings", [(1, 1), (3, 1), (3, 3), (1, 3)])
    assert sorted(len(s.geometry.interiors) for s in editor.of("buildings")) == [0, 1]
    editor.cut("buildings", [(5, -1), (11, -1), (11, 11), (5, 11)])
    assert [s.geometry.area for s in editor.of("buildings")] == [36]
    with pytest.raises(EditError, match="no shape of buildings"):
        editor.cut("buildings", [(50, 50), (60, 50), (60, 60)])


def test_a_cut_leaves_other_layers_alone():
    editor = ShapeEditor()
    editor.add("done", SQUARE)
    editor.add("buildings", SQUARE)
    editor.cut("buildings", [(4, -1), (6, -1), (6, 11), (4, 11)])
    assert editor.of("done")[0].geometry.area == 100


def test_a_hole_keeps_its_corners_when_the_shape_is_given_others():
    editor = ShapeEditor()
    editor.add("buildings", SQUARE)
    editor.reshape(0, [[(0, 0), (20, 0), (20, 10), (0, 10)], [(1, 1), (3, 1), (3, 3), (1, 3)]])
    assert editor.shapes[0].geometry.area == 200 - 4


STEPS = st.lists(st.tuples(st.sampled_from("adc"), st.integers(0, 8), st.integers(0, 8)), max_size=12)


@given(STEPS)
@settings(max_examples=40, deadline=None)
def test_undoing_every_step_gives_what_was_there_and_redoing_what_was_made(steps):
    editor = ShapeEditor([Shape("buildings", shapely.box(2, 2, 6, 6))])
    before, done = dict(editor.shapes), 0
    for what, x, y in steps:
        box = [(x, y), (x + 3, y), (x + 3, y + 2), (x, y + 2)]
        try:
            if what == "a":
                editor.add("buildings", box)
            elif what == "c":
                editor.cut("buildings", box)
            else:
                editor.delete(x)
            done += 1
        except EditError:
            pass
    made = dict(editor.shapes)
    for _ in range(done):
        editor.undo()
    assert editor.shapes == before and not editor.can_undo
    for _ in range(done):
        editor.redo()
    assert editor.shapes == made
