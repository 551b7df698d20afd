"""The datagrams that a description speaks of, whatever way it says them."""

from __future__ import annotations

from pathlib import Path

from simulator.expressions import octets as scapy_octets
from simulator.links.captures import CaptureError, datagram, read
from simulator.nopacket import NoPacketError
from simulator.spoken import build as spoken_datagram
from simulator.spoken import parse as parse_words

__all__ = ["PacketError", "datagrams"]

_LARGEST = 65_535


class PacketError(ValueError):
    """What was said is no datagram; the message may have further lines that show the place."""


def datagrams(source: str, text: str, folder: Path) -> list[tuple[float, bytes]]:
    """Each with its seconds after the first. `source` is what the text is: "packet", "words", "hex", "file" or "pcap".

    Files are looked for from `folder` on. Raises PacketError.
    """
    try:
        match source:
            case "packet":
                return [(0.0, scapy_octets(text))]
            case "words":
                return [(0.0, _spoken(text))]
            case "hex":
                return [(0.0, bytes.fromhex(text))]
            case "file":
                return [(0.0, _small(folder / text))]
            case _:
                return _captured(folder / text)
    except NoPacketError as error:
        raise PacketError(_pointed(error.text, text, error.column)) from None
    except ImportError as error:
        raise PacketError(f"{error}: pip install 'divertsim[scapy]'") from None
    except CaptureError as error:
        raise PacketError(f"{folder / text}: {error}") from None
    except ValueError as error:
        raise PacketError(error) from None
    except OSError as error:
        raise PacketError(f"{error.filename}: {error.strerror}") from None


def _spoken(text: str) -> bytes:
    spoken = parse_words(text)
    if spoken.interface or spoken.received_on or spoken.hook:
        raise PacketError("where a packet comes in is said by interface =, not by its words")
    return spoken_datagram(spoken)


def _small(path: Path) -> bytes:
    octets = path.read_bytes()
    if len(octets) > _LARGEST:
        raise PacketError(f"{path}: a datagram has at most {_LARGEST} octets, not {len(octets)}")
    return octets


def _captured(path: Path) -> list[tuple[float, bytes]]:
    """The IPv4 datagrams of a capture."""
    found = [(packet.time, octets) for packet in read(path) if (octets := datagram(packet)) is not None]
    start = found[0][0] if found else 0.0
    return [(seconds - start, octets) for seconds, octets in found]


def _pointed(text: str, line: str, column: int) -> str:
    """The message, and the line with a caret below the place."""
    before = line[:column]
    first = before.rfind("\n") + 1
    shown = line[first:].partition("\n")[0]
    return f"{text}\n  {shown}\n  {' ' * (column - first)}^"
