"""All checks of the static census, in the order in which their complaints are read."""

from collections.abc import Callable, Iterator

from workshop.census import claims, code, fences, lessons, made, names, pages, pitfalls, terms
from workshop.census.repository import Repository

Check = Callable[[Repository], Iterator[str]]

CHECKS: tuple[Check, ...] = (
    code.code_can_be_read,
    lessons.lessons_have_their_files,
    lessons.nothing_is_left_of_a_lesson,
    lessons.nothing_is_left_to_write,
    lessons.lessons_follow_the_template,
    lessons.predictions_are_choices,
    lessons.predictions_fit_a_telephone,
    lessons.reference_shows_its_module,
    terms.terms_are_explained_first,
    fences.fences_are_spelled_as_agreed,
    fences.blocks_that_start_afresh_say_so,
    fences.outputs_belong_to_blocks,
    fences.outputs_show_something,
    fences.outputs_of_releases_differ,
    code.nothing_is_left_untested,
    code.code_reads_no_value,
    code.code_of_pages_is_formatted,
    names.pages_show_the_package,
    names.public_names_are_on_pages,
    pages.pages_are_in_the_nav,
    pages.prose_avoids_words,
    pages.home_page_says_what_its_run_printed,
    pitfalls.exceptions_have_entries,
    pitfalls.entries_lead_to_proofs,
    pitfalls.entries_stand_once,
    pitfalls.causes_are_asked_for,
    pitfalls.entries_name_their_lesson,
    claims.claims_were_measured,
    made.made_files_are_up_to_date,
)


def complaints(repository: Repository) -> Iterator[str]:
    """Yield every complaint; where code cannot be read, those about it alone, since the others rely on it."""
    for check in CHECKS:
        found = list(check(repository))
        yield from found
        if found and check is code.code_can_be_read:
            return
