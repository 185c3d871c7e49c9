"""What the aggregates have in common."""

from dataclasses import dataclass

from domain.aggregate import shallow_copier


@dataclass(slots=True)
class Shelf:
    name: str
    boxes: list[str]


def test_a_shallow_copy_is_another_of_the_same_with_the_same_in_it() -> None:
    shelf = Shelf("top", ["a"])
    twin = shallow_copier(Shelf)(shelf)
    assert twin == shelf
    assert twin is not shelf
    assert twin.boxes is shelf.boxes
    twin.name = "bottom"
    assert shelf.name == "top"
