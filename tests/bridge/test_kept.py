"""What is kept stays within its bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.kept import Kept


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3000)), max_size=60))
def test_the_cache_never_passes_its_limit(puts: list[tuple[int, int]]) -> None:
    cache = Kept(8000)
    for key, size in puts:
        cache.put(key, bytes(size))
        assert cache.size_bytes <= 8000
        kept = cache.get(key)
        assert kept is None or len(kept) == size or size > cache.largest_bytes


def test_what_was_used_last_stays_longest() -> None:
    cache = Kept(4000)
    for key in "abc":
        cache.put(key, bytes(800))
    cache.get("a")
    cache.put("d", bytes(800))
    assert cache.get("a") is not None
    assert cache.get("b") is None


def test_a_cache_without_room_keeps_nothing() -> None:
    cache = Kept(0)
    cache.put("a", b"x")
    assert cache.get("a") is None
