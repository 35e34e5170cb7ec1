"""A figure inside a page: its ids, colours and texts, and which trial each mark is of."""

import re
import xml.etree.ElementTree as ET
from functools import partial

import pytest

from search.reporting.figure_style import INK
from search.reports.facts.importance import Importance
from search.reports.figures import parameters
from search.reports.figures.canvas import (
    NARROW,
    VARIABLES,
    WIDE,
    Chart,
    chart_style,
    create_axis,
    mark_points,
    mark_trial,
)
from search.reports.figures.svg import draw_svg, to_svg


def drawn(paint, size=WIDE, name="chart"):
    with chart_style():
        figure, axis = create_axis(size, 2.0)
        paint(axis)
        return to_svg(figure, name)


def test_a_name_is_text_with_its_dollars_and_angle_brackets():
    name = "a<b>&$x^2$_话"
    rows = [Importance(name, 0.6, 0.4, 0.8, 20), Importance("b", 0.4, 0.2, 0.6, 20)]
    chart = Chart("c", "", "", partial(parameters.draw_importance, rows=rows, trials=20))
    for text in draw_svg(chart).values():
        texts = [each.text for each in ET.fromstring(text).iter() if each.tag.endswith("text")]
        assert name in texts


def test_a_figure_is_drawn_for_its_width():
    boxes = [re.search(r'viewBox="0 0 ([\d.]+)', drawn(lambda _: None, size))[1]
             for size in (WIDE, NARROW)]  # fmt: skip
    assert [float(box) for box in boxes] == [720.0, 288.0]


@pytest.mark.parametrize("colour", VARIABLES)
def test_a_colour_becomes_the_variable_of_the_page(colour):
    text = drawn(lambda axis: axis.plot([0, 1], [0, 1], color=colour))
    assert f"var({VARIABLES[colour]})" in text
    assert colour not in text


def test_ids_of_two_figures_differ():
    def paint(axis):
        axis.scatter([1, 2, 3], [1, 2, 3], color=INK)

    one, other = (set(re.findall(r'\bid="([^"]+)"', drawn(paint, name=n))) for n in ("a", "b"))
    assert one
    assert not one & other


@pytest.mark.parametrize("numbers", [[7], [3, 1, 2]])
def test_each_point_is_marked_with_its_trial_in_order(numbers):
    def paint(axis):
        mark_points(axis.scatter(range(len(numbers)), numbers, color=INK), numbers)

    text = drawn(paint)
    assert [int(each) for each in re.findall(r'data-t="(\d+)"', text)] == numbers
    ET.fromstring(text)


def test_a_line_is_marked_with_its_trial():
    text = drawn(lambda axis: mark_trial(axis.plot([0, 1], [0, 1])[0], 12))
    assert 'data-t="12"' in text


def test_numbers_in_texts_keep_their_digits():
    text = drawn(lambda axis: axis.text(0, 0, "0.00031 is 3.1e-4"))
    assert "0.00031 is 3.1e-4" in text
