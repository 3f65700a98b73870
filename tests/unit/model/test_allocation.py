"""One class for every byte of a medium."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forensiq.model.allocation import AllocationClass, classify
from forensiq.model.extent import Extent

ORDER = list(AllocationClass)
FOUND = st.lists(
    st.tuples(st.builds(Extent, st.integers(0, 60), st.integers(0, 30)), st.sampled_from(ORDER)), max_size=12
)


@given(st.integers(0, 64), FOUND)
def test_every_byte_has_the_first_class_that_applies(size: int, found: list[tuple[Extent, AllocationClass]]) -> None:
    expected = []
    for byte in range(size):
        kinds = [kind for extent, kind in found if byte in extent] + [AllocationClass.UNPARTITIONED]
        expected.append(min(kinds, key=ORDER.index))
    got: list[AllocationClass] = []
    for each in classify(size, found):
        assert each.extent.offset == len(got)
        got += [each.kind] * each.extent.length
    assert got == expected
