"""The one list of the lessons, in the order in which they are read; whatever counts, sorts or names them reads it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Lesson:
    """One lesson.

    Attributes:
        slug: the word that names its page, module, test, exercise and reference.
        title: the heading of its page.
        question: the question that it answers, in Markdown.
        needs: the slugs of the lessons that it builds on, each of which comes before it, but not what these need too.
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
    Lesson("linear", "Linear", "What is the smallest layer, and how is it trained?"),
    Lesson("multi-param", "Param and Variable", "What is trained, and what is kept?", ("linear",)),
    Lesson(
        "reading-writing",
        "Reading and writing",
        "What differs between `v`, `v[...]`, `v[...] = x`, `set_value` and `self.v = x`?",
        ("multi-param",),
    ),
    Lesson("containers", "Containers", "Why does my list of layers raise?", ("multi-param",)),
    Lesson("counters", "Counters and buffers", "How do I count calls, and keep a buffer?", ("reading-writing",)),
    Lesson("homes", "Homes", "Where does a value live?", ("containers", "counters")),
    Lesson("filters", "Filters", "Which state is it?", ("containers",)),
    Lesson("gradients", "Gradients", "Which values get a gradient?", ("counters", "filters")),
    Lesson("training", "Training", "Which values does a step of training move?", ("gradients",)),
    Lesson("transforms", "Transforms", "Why did my loss not move?", ("training",)),
    Lesson("split-merge", "Split and merge", "Which calls share Variables, and which copy?", ("transforms",)),
    Lesson("batch-stats", "Batch statistics", "What moves in training and must stop in evaluation?", ("transforms",)),
    Lesson("seeing", "Seeing a model", "What do I look at when a run goes wrong?", ("split-merge", "batch-stats")),
    Lesson("randomness", "Randomness", "Is randomness state?", ("split-merge",)),
    Lesson("vmap-scan", "vmap", "On which axis does each type of state live?", ("batch-stats", "randomness")),
    Lesson("scan", "Scan", "How do layers run in turn, and what do they carry?", ("vmap-scan",)),
    Lesson("own-types", "Own types", "When do I make my own Variable type?", ("split-merge",)),
    Lesson("optimizer-state", "Optimizer state", "What does an optimizer remember?", ("transforms",)),
    Lesson("precision", "Precision", "In which dtype is it kept, and in which is it computed?", ("optimizer-state",)),
    Lesson("freezing", "Freezing", "How do I train part of a model?", ("batch-stats", "randomness", "own-types")),
    Lesson("checkpoints", "Checkpoints", "Will the resumed run be bit-identical?", ("batch-stats", "randomness")),
    Lesson(
        "intermediates",
        "Metrics and intermediates",
        "What did I measure or record, and where does it live?",
        ("scan", "checkpoints"),
    ),
    Lesson(
        "surgery",
        "Surgery",
        "How do I change a model and keep what it has learned?",
        ("checkpoints", "optimizer-state"),
    ),
    Lesson("caches", "Caches", "How do I create, reset, snapshot and drop decode state?", ("split-merge",)),
    Lesson(
        "layer-state",
        "Layers with state",
        "What do the layers of Flax keep, and which calls write it?",
        ("batch-stats", "randomness", "caches"),
    ),
    Lesson("testing", "Testing modules", "How do I test a module that has state?", ("layer-state",)),
    Lesson(
        "memory",
        "Memory",
        "Where do the bytes of a training step go?",
        ("optimizer-state", "own-types", "checkpoints", "caches"),
    ),
    Lesson("sharding", "Sharding", "What happens to each type on many devices?", ("checkpoints",)),
    Lesson("processes", "Processes", "What does each of several processes hold of a model?", ("sharding",)),
    Lesson(
        "large-models",
        "Large models",
        "How do I build, cut and restore a model that fits on no single device?",
        ("memory", "sharding"),
    ),
    Lesson("cost", "Cost", "What does a call cost?", ("scan", "memory")),
)
