"""The one list of the lessons, in the order in which they are read; whatever counts, sorts or names them reads it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Lesson:
    """One lesson.

    Attributes:
        slug: the word that names its page, module, test, exercise and reference.
        title: the heading of its page.
        question: the question that it answers, in Markdown.
        needs: the slugs of the lessons that it builds on, each of which comes before it.
    """

    slug: str
    title: str
    question: str
    needs: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """Return the name of its module, without the package."""
        return self.slug.replace("-", "_")


LESSONS = (
    Lesson("homes", "Homes", "Where does a value live?", ()),
    Lesson("linear", "Linear", "What is the smallest layer?", ("homes",)),
    Lesson("multi-param", "Param and Variable", "What is trained, and what is kept?", ("linear",)),
    Lesson(
        "reading-writing",
        "Reading and writing",
        "What differs between `v`, `v[...]`, `v[...] = x`, `set_value` and `self.v = x`?",
        ("multi-param",),
    ),
    Lesson("counters", "Counters and buffers", "How do I count calls, and keep a buffer?", ("reading-writing",)),
    Lesson("filters", "Filters", "Which state is it?", ("multi-param",)),
    Lesson("split-merge", "Split and merge", "Which calls share Variables, and which copy?", ("filters",)),
    Lesson("training", "Training", "Who reads the label?", ("multi-param", "filters")),
    Lesson("transforms", "Transforms", "Why did my loss not move?", ("multi-param", "training")),
    Lesson(
        "batch-stats",
        "Batch statistics",
        "What moves in training and must stop in evaluation?",
        ("counters", "training", "transforms"),
    ),
    Lesson(
        "caches",
        "Caches",
        "How do I create, reset, snapshot and drop decode state?",
        ("counters", "split-merge", "transforms"),
    ),
    Lesson(
        "own-types",
        "Own types",
        "When do I make my own Variable type?",
        ("counters", "filters", "training", "transforms"),
    ),
    Lesson("containers", "Containers", "Why does my list of layers raise?", ("filters", "transforms")),
    Lesson("randomness", "Randomness", "Is randomness state?", ("filters", "split-merge", "transforms")),
    Lesson(
        "vmap-scan",
        "vmap and scan",
        "On which axis does each kind of state live?",
        ("counters", "filters", "training", "transforms", "batch-stats", "randomness"),
    ),
    Lesson(
        "freezing", "Freezing", "How do I train part of a model?", ("filters", "split-merge", "training", "transforms")
    ),
    Lesson(
        "checkpoints",
        "Checkpoints",
        "Will the resumed run be bit-identical?",
        ("counters", "filters", "split-merge", "training", "transforms", "batch-stats", "randomness"),
    ),
    Lesson(
        "sharding",
        "Sharding",
        "What happens to each kind on many devices and processes?",
        ("training", "transforms", "checkpoints"),
    ),
    Lesson("cost", "Cost", "What does state cost?", ("split-merge", "transforms", "caches", "own-types", "vmap-scan")),
)
