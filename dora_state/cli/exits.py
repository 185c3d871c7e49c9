"""How the command line ends: its exit codes, and which error ends it with which."""

from enum import IntEnum

from domain.errors import DoraStateError, Refusal


class Exit(IntEnum):
    """`docs/cli.md` explains them; they never change their meaning."""

    DONE = 0
    REFUSED = 1
    BAD_INPUT = 2
    NOT_FOUND = 3
    UNAVAILABLE = 4
    CONFLICT = 5
    BUG = 70
    OUTPUT_FAILED = 74
    INTERRUPTED = 130
    TERMINATED = 143


_BY_CODE = {
    "invalid_input": Exit.BAD_INPUT,
    "invalid_page": Exit.BAD_INPUT,
    "xes_unreadable": Exit.BAD_INPUT,
    "not_found": Exit.NOT_FOUND,
    "cut_out_of_range": Exit.NOT_FOUND,
    "conflict": Exit.CONFLICT,
    "append_rejected": Exit.REFUSED,
    "import_refused": Exit.REFUSED,
    "rebuild_refused": Exit.REFUSED,
}


def exit_of(error: DoraStateError) -> Exit:
    """What an expected error ends with. Whatever is not the caller's doing is "not available now"."""
    if isinstance(error, Refusal):
        return Exit.REFUSED
    return _BY_CODE.get(error.code, Exit.UNAVAILABLE)
