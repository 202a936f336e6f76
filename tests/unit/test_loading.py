"""Loading an application without looking for garbage, and looking for it again afterwards."""

import gc

import pytest

from shop_api.stack.loading import loading


def test_garbage_is_looked_for_after_the_block_and_not_among_what_it_left() -> None:
    before = gc.get_freeze_count()
    with loading():
        assert not gc.isenabled()
        left = [[number] for number in range(1_000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + len(left)


def test_it_is_looked_for_after_a_block_that_failed() -> None:
    with pytest.raises(ValueError, match="no application"), loading():
        raise ValueError("no application")
    assert gc.isenabled()
