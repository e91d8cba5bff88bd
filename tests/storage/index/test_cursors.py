"""What `storage.index.registry.Registry` promises about readers of the feed, on every database."""

from __future__ import annotations

from storage.index import SqlIndex


def test_a_reader_that_never_read_stands_at_the_beginning(index: SqlIndex) -> None:
    assert index.cursor("forwarding") == 0


def test_a_reader_goes_on_where_it_was(index: SqlIndex) -> None:
    index.move_cursor("forwarding", 7)
    index.move_cursor("forwarding", 9)
    index.move_cursor("other", 3)
    assert (index.cursor("forwarding"), index.cursor("other")) == (9, 3)
