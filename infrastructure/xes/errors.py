"""The one error of reading an XES log."""

from domain.errors import DoraStateError


class XesError(DoraStateError):
    """The XES log can't be read.

    `reason` is stable and for programs: `file_unreadable`, `broken_gzip`, `ends_early`, `not_xml`, `not_xes`,
    `doctype`, `too_deep`, `value_too_long`, `element_too_large`, `token_too_long`, `too_many_names`,
    `scratch_failed`. `facts` always name the file or the directory, and the line where there is one.
    """

    code = "xes_unreadable"

    def __init__(self, reason: str, message: str, **facts: object) -> None:
        super().__init__(message, **facts)
        self.reason = reason
