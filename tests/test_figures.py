"""The figures of the notebooks: legible in both schemes, with a name, and the same at every build."""

import re
from xml.etree import ElementTree

import matplotlib.pyplot as plt

from nnx_state.figures import dots, show, svg


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


def line(text):
    """Return the points through which the last path of a figure goes, in tenths of a point."""
    data = [path.get("d") for path in ElementTree.fromstring(text).iter() if path.get("d")][-1]
    points = []
    for command, x, y in re.findall(r"([Ml])(\S+) ([^\sMl]+)", data):
        point = round(float(x) * 10), round(float(y) * 10)
        points.append(point if command == "M" else (points[-1][0] + point[0], points[-1][1] + point[1]))
    return points


def test_a_line_goes_where_matplotlib_draws_it():
    """Each point is rounded by itself, so that no error adds up along the line."""
    figure = plt.figure(figsize=(10, 1))  # 7200 by 720 tenths of a point
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 99), ylim=(0, 1), frame_on=False, xticks=[], yticks=[])
    heights = [0.123 * step % 1 for step in range(100)]
    axes.plot(heights)
    found = line(svg(figure, "A saw."))
    wanted = [(7200 * step / 99, 720 * (1 - height)) for step, height in enumerate(heights)]
    assert found == [(round(across), round(down)) for across, down in wanted]


def test_dots_are_one_path_with_a_place_for_each_value():
    figure, axes = plt.subplots()
    dots(axes, [3.0, 1.0, 2.0])
    assert axes.dataLim.bounds == (0, 1, 2, 2)
    text = svg(figure, "Dots.")
    (path,) = re.findall(r'd="([^"]*)"[^>]*stroke-linecap: round', text)
    heights = [float(y) for _, y in re.findall(r"M(\S+) ([^l]+)l0 0", path)]
    assert sorted(range(3), key=heights.__getitem__) == [0, 2, 1]  # the highest value has the least distance from above


def test_figures_are_displayed_together(capsys):
    show([(draw(), "One."), (draw(), "Two.")])
    assert "HTML object" in capsys.readouterr().out
