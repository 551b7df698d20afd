"""The checksum's integer trick agrees with the loop that RFC 1071 describes, and the updates with computing anew."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from simulator.wire import checksum as fast

ADDRESSES = st.integers(0, 0xFFFFFFFF)


def plain(octets: bytes) -> int:
    """RFC 1071 section 4.1, word by word."""
    total = 0
    for at in range(0, len(octets) - 1, 2):
        total += octets[at] << 8 | octets[at + 1]
    if len(octets) & 1:
        total += octets[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


# Words of all zeros and all ones are where one's complement has two answers: make them common.
OCTETS = st.one_of(
    st.binary(max_size=80),
    st.lists(st.sampled_from([b"\0\0", b"\xff\xff", b"\xff\xfe", b"\0\1", b"\x80\0"]), max_size=12).map(b"".join),
    st.lists(st.sampled_from([b"\0", b"\xff"]), max_size=9).map(b"".join),
)


@given(OCTETS)
def test_checksum_is_the_loop_over_words(octets: bytes) -> None:
    assert fast.checksum(octets) == plain(octets)
    assert fast.checksum(bytearray(octets)) == fast.checksum(memoryview(octets)) == plain(octets)


@given(OCTETS)
def test_verify_is_a_checksum_of_zero(octets: bytes) -> None:
    assert fast.verify(octets) is (plain(octets) == 0)


@given(OCTETS.filter(lambda octets: len(octets) % 2 == 0))
def test_octets_with_their_checksum_verify_and_another_word_does_not(octets: bytes) -> None:
    whole = octets + fast.checksum(octets).to_bytes(2, "big")
    assert fast.verify(whole)
    damaged = bytearray(whole)
    damaged[-1] ^= 0x10
    assert not fast.verify(damaged)


@given(st.binary(min_size=8, max_size=40).filter(lambda octets: len(octets) % 2 == 0), st.data())
def test_update_agrees_with_computing_anew(octets: bytes, data: st.DataObject) -> None:
    at = 2 * data.draw(st.integers(0, len(octets) // 2 - 1))
    word = data.draw(st.sampled_from([0, 1, 0xFFFE, 0xFFFF]) | st.integers(0, 0xFFFF))
    changed = octets[:at] + word.to_bytes(2, "big") + octets[at + 2 :]
    assume(any(changed))
    old = int.from_bytes(octets[at : at + 2], "big")
    assert fast.update(plain(octets), old, word) == plain(changed)


@given(st.binary(min_size=8, max_size=40).filter(lambda octets: len(octets) % 2 == 0), ADDRESSES)
def test_update_of_an_address_agrees_with_computing_anew(octets: bytes, address: int) -> None:
    changed = octets[:4] + address.to_bytes(4, "big") + octets[8:]
    assume(any(changed))
    assert fast.update_32(plain(octets), int.from_bytes(octets[4:8], "big"), address) == plain(changed)


@given(st.binary(min_size=20, max_size=20), st.integers(1, 255), st.integers(0, 255))
def test_lower_ttl_agrees_with_computing_anew(octets: bytes, ttl: int, protocol: int) -> None:
    before = octets[:8] + bytes((ttl, protocol)) + b"\0\0" + octets[12:]
    after = octets[:8] + bytes((ttl - 1, protocol)) + b"\0\0" + octets[12:]
    assume(any(after))
    lowered = fast.decrement_ttl(plain(before))
    assert fast.verify(after[:10] + lowered.to_bytes(2, "big") + after[12:])
    assert lowered == plain(after)


def test_lower_ttl_over_all_checksums() -> None:
    """The kernels' sum with end-around carry; a sum of all ones becomes zero."""
    for old in range(0x10000):
        total = old + 0x0100
        assert fast.decrement_ttl(old) == (total % 0xFFFF if total >= 0xFFFF else total)


@given(ADDRESSES, ADDRESSES, st.sampled_from([6, 17, 132]), OCTETS)
def test_transport_checksum_is_that_of_pseudo_header_and_segment(
    source: int, destination: int, protocol: int, segment: bytes
) -> None:
    expected = plain(fast.pseudo_header(source, destination, protocol, len(segment)) + segment)
    if protocol == 17 and expected == 0:
        expected = 0xFFFF
    assert fast.transport_checksum(source, destination, protocol, segment) == expected


@given(ADDRESSES, ADDRESSES, st.binary(min_size=20, max_size=60))
def test_a_segment_with_its_checksum_verifies(source: int, destination: int, segment: bytes) -> None:
    bare = segment[:16] + b"\0\0" + segment[18:]
    whole = bare[:16] + fast.transport_checksum(source, destination, 6, bare).to_bytes(2, "big") + bare[18:]
    assert fast.verify_transport(source, destination, 6, whole)
    assert not fast.verify_transport(source ^ 1, destination, 6, whole)


def test_udp_never_sends_zero_and_takes_zero_for_no_checksum() -> None:
    rest = bytes.fromhex("0035 0008 0000")
    # The port that brings the sum to all ones, so that the checksum comes out as 0.
    port = plain(fast.pseudo_header(1, 2, 17, 8) + b"\0\0" + rest)
    segment = port.to_bytes(2, "big") + rest
    assert plain(fast.pseudo_header(1, 2, 17, 8) + segment) == 0
    assert fast.transport_checksum(1, 2, 17, segment) == 0xFFFF
    assert fast.verify_transport(1, 2, 17, segment[:6] + b"\xff\xff")
    assert fast.verify_transport(9, 9, 17, segment)
    assert not fast.verify_transport(9, 9, 17, segment[:6] + b"\xff\xff")


def test_the_two_zeros() -> None:
    assert fast.checksum(b"") == fast.checksum(bytes(7)) == fast.checksum(bytes(20)) == 0xFFFF
    assert fast.checksum(b"\xff\xff") == fast.checksum(b"\xff" * 20) == 0
    assert not fast.verify(b"")
    assert not fast.verify(bytes(20))
