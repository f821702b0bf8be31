"""What is taken out of the built site, and what is left in it."""

from pathlib import Path

import material

from workshop.site import lighter

(THEME,) = (Path(material.__file__).parent / "templates/assets/stylesheets").glob("main.*.css")


def test_comments_of_styles_go_and_rules_stay():
    style = '/* one\n   two */\n.a { color: red; }  /* three */\n@media print {\n  .b { content: "//"; }\n}\n'
    assert lighter.style_without_comments(style).split() == [
        ".a",
        "{",
        "color:",
        "red;",
        "}",
        "@media",
        "print",
        "{",
        ".b",
        "{",
        "content:",
        '"//";',
        "}",
        "}",
    ]


def test_comments_of_scripts_go_and_addresses_stay():
    script = "// one\nconst a = 'https://x' // two\nif (a) {\n  // three\n  a()\n}\n"
    assert lighter.script_without_comments(script) == "const a = 'https://x' // two\nif (a) {\na()\n}\n"


def test_icons_of_the_theme_go_where_no_page_has_them():
    """What to do where an icon is missing: take its name out of the list in `lighter.py`."""
    style = THEME.read_text("utf-8")
    light = lighter.without_icons(style)
    assert len(style) - len(light) > 5000
    for name in lighter.UNUSED:
        assert f"--md-{name}" in style
        assert f"--md-{name}:url" not in light
        assert f"--md-{name}--note:url" not in light
    for name in ("--md-nav-icon--next:url", "--md-details-icon:url", "--md-tabbed-icon--next:url"):
        assert name in light
    assert light.count("{") == style.count("{")


def test_no_page_has_what_lost_its_icons(site):
    gone = ("md-status", "footnote", "task-list", "md-post", "md-tag", "md-version", "md-path")
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        assert not [name for name in gone if f'class="{name}' in text or f" {name}" in text.partition("<article")[0]], (
            page
        )
