"""What errors say of themselves."""

from domain.errors import ConflictError, DoraStateError, LogUnavailable, without_advice


def test_an_error_says_what_its_class_does_unless_it_is_told_more() -> None:
    assert ConflictError().message == ("The stream has moved on since it was read; read it again and decide again.")
    undescribed = type("Undescribed", (DoraStateError,), {"code": "undescribed"})
    assert undescribed().message == "undescribed"
    error = ConflictError("It moved.", expected=1, actual=2)
    assert (str(error), error.message, error.facts) == ("It moved.", "It moved.", {"expected": 1, "actual": 2})


def test_one_who_has_given_no_command_is_not_told_to_try_it_again() -> None:
    lost = LogUnavailable("The log can't be reached (refused): try again with the same command ids.")
    assert without_advice(lost) == "The log can't be reached (refused)."
    assert without_advice(LogUnavailable("The log is read-only.")) == "The log is read-only."
