"""The figures of the notebooks: legible in both schemes, with a name, and the same at every build."""

from xml.etree import ElementTree

import matplotlib.pyplot as plt

from nnx_state.figures import show, svg


def draw():
    figure, axes = plt.subplots()
    axes.plot([1, 2], [3, 4], color="#123456")
    axes.set_title("a < b")
    return figure


def test_a_figure_is_one_svg_with_a_name_in_the_colours_of_the_page():
    text = svg(draw(), 'It "rises" & ends.')
    element = ElementTree.fromstring(text)
    assert element.get("role") == "img"
    assert element.get("aria-label") == 'It "rises" & ends.'
    assert element.get("fill") == "currentColor"
    assert "#000000" not in text
    assert "#123456" in text
    assert "<style" not in text
    assert "a &lt; b" in text  # text stays text


def test_a_figure_is_closed_and_the_same_each_time():
    first = svg(draw(), "A line.")
    assert svg(draw(), "A line.") == first
    assert plt.get_fignums() == []


def test_figures_share_no_ids():
    ids = [{part.get("id") for part in ElementTree.fromstring(svg(draw(), name)).iter()} - {None} for name in "ab"]
    assert ids[0]
    assert ids[0].isdisjoint(ids[1])


def test_figures_are_displayed_together(capsys):
    show([(draw(), "One."), (draw(), "Two.")])
    assert "HTML object" in capsys.readouterr().out
