"""How the matcher grows with what is pasted: texts that are hard for it, from a quarter of a megabyte to a megabyte.

    python noxfile.py bench -- -k answers

Each is answered three times, and the median is taken. Linear growth: four times the text, four times the seconds.
"""

import statistics
import time

from harness.hard import hard_texts
from nnx_state.answers import answer


def seconds(text):
    begin = time.perf_counter()
    answer(text)
    return time.perf_counter() - begin


def test_time_of_an_answer(capsys):
    answer("a warm-up, which loads the entries")
    small, large = hard_texts(250_000), hard_texts(1_000_000)
    with capsys.disabled():
        print(f"\n\n{'':16} 1 MB, ms   of 250 kB")
        for name in small:
            few, many = (statistics.median(seconds(texts[name]) for _ in range(3)) for texts in (small, large))
            print(f"{name:16} {many * 1000:8.0f} {many / few:10.1f}")
