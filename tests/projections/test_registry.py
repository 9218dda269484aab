"""The registry of projections."""

from projections.registry import NAMES


def test_each_projection_is_registered_once() -> None:
    """Two runners under one name would share a checkpoint."""
    assert sorted(NAMES) == sorted(set(NAMES))
