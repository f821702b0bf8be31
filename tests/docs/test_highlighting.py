"""What of a program has a colour, and so an element, of its own."""

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from workshop.site.highlighting import plain


def test_names_operators_and_brackets_have_no_element():
    source = "import jax\nmodel.count[...] += jax.numpy.ones(3)  # one\n"
    shown = highlight(source, PythonLexer(filters=[plain]), HtmlFormatter(nowrap=True))
    assert shown == (
        '<span class="kn">import</span> jax\n'
        'model.count[...] += jax.numpy.ones(<span class="mi">3</span>)  <span class="c1"># one</span>\n'
    )


def test_the_site_is_made_so(site):
    assert '<span class="n">' not in (site / "lessons/linear/index.html").read_text("utf-8")
