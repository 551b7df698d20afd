"""The file that describes a router: what is wrong is told with the file, the key, and the offending value."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.hosting.description import DescriptionError, load
from simulator.hosting.world import World
from simulator.links.pcap import PcapWriter

HEAD = 'profile = "freebsd-13"\n'
FILE = "[interfaces.em0]\naddress = '192.168.1.1/24'\n"
PING = "IP(src='192.168.1.2', dst='192.168.1.1')/ICMP()"


def written(folder: Path, text: str) -> Path:
    path = folder / "lab.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "profile: is missing"),
        ("profile = 5", "profile: expected a text, not 5"),
        ('profile = "plan-9"', "profile: no such profile: 'plan-9' (there are linux-2.2,"),
        ("profile = ", "Invalid value (at"),
        (HEAD + "colour = 1", "colour: no such key here (there are profile, switches, interfaces,"),
        (HEAD + "seconds = -1", "seconds: expected a number of seconds, 0 or more, not -1"),
        (HEAD + "seconds = inf", "not inf"),
        (HEAD + "seconds = true", "expected a number of seconds, not True"),
        (HEAD + "show = ['all']", "show: 'all' is none of sent,"),
        (HEAD + "switches = 3", "switches: expected a table of switches, not 3"),
        (HEAD + "[switches]\npass_through = true", "switches: freebsd-13 has no switch 'pass_through'"),
        (HEAD + "[switches]\ntag_byte_order = 'big'", "switches: tag_byte_order='big' is not 'clear' or 'host'"),
        (HEAD + "[interfaces]\nem0 = 1", "interfaces.em0: expected a table, not 1"),
        (HEAD + "[interfaces.em0]\nmtu = 20", "interfaces.em0: an MTU is between 68 and 65535 octets: 20"),
        (HEAD + "[interfaces.em0]\naddress = '10.0.0.300'", "interfaces.em0: Octet 300"),
        (HEAD + "[interfaces.em0]\nadress = '10.0.0.3'", "interfaces.em0.adress: no such key here"),
        (HEAD + "[[routes]]\nvia = '10.0.0.1'", "routes[1].to: is missing"),
        (HEAD + "[[routes]]\nto = '0.0.0.0/0'\nvia = '10.0.0.1'", "routes[1]: the gateway 10.0.0.1 is on no network"),
        (HEAD + "rules = 3", "rules: expected a list of commands, or a text with one a line, not 3"),
        (HEAD + "rules = '''\n\n# no\nadd deny x'''", "rules[3]: add deny x\nipfw: "),
        (HEAD + "[[traffic]]\nhex = '45'\nat = 'soon'", "traffic[1].at: expected a number of seconds, not 'soon'"),
        (
            HEAD + "[[traffic]]\nat = 1",
            "packet: expected exactly one of packet, words, hex, file, pcap, not 0",
        ),
        (
            HEAD + "[[traffic]]\nhex = '45'\ninterface = 'em7'",
            "traffic[1].interface: no interface 'em7' (there",
        ),
        (HEAD + "[[traffic]]\nhex = '4x'", "traffic[1].hex: non-hexadecimal"),
        (HEAD + "[[traffic]]\nhex = '45'\nrepeat = 0", "traffic[1].repeat: at least once, not 0"),
        (HEAD + "[[traffic]]\nhex = '45'\nrepeat = 9000000", "traffic[1].repeat: more than 1,000,000 packets"),
        (HEAD + "[[traffic]]\nfile = 'none'", "traffic[1].file: "),
        (HEAD + "[[traffic]]\npcap = 'lab.toml'", "lab.toml: neither pcap nor pcapng: it begins with"),
        (HEAD + "[[traffic]]\npacket = 'IP()/ICMQ()'", "traffic[1].packet: no layer 'ICMQ' (did you mean ICMP"),
        (HEAD + "[[traffic]]\npacket = 'IP()/ICMQ()'", "\n  IP()/ICMQ()\n       ^"),
        (HEAD + "[[traffic]]\nwords = 'tcp from'", "traffic[1].words: "),
        (HEAD + "[[traffic]]\nwords = 'tcp from 10.0.0.1 1 to 10.0.0.2 2 in via em0'", "is said by interface ="),
        (HEAD + "[[commands]]\nat = 1", "commands[1].run: is missing"),
        (HEAD + "[[stdin]]\ntext = 1", "stdin[1].text: expected a text, not 1"),
    ],
)
def test_what_is_wrong(text: str, told: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(DescriptionError) as error:
        World(load(path))
    assert str(error.value).startswith(f"{path}: ")
    assert told in str(error.value)


def test_traffic_in_every_notation_and_in_order(tmp_path: Path) -> None:
    octets = bytes.fromhex("4500001c000100004001af34c0a801020a0000020800f7fe00010000")
    (tmp_path / "one.bin").write_bytes(octets)
    with (tmp_path / "two.pcap").open("wb") as file:
        capture = PcapWriter(file)
        capture.write(100.0, octets)
        capture.write(100.25, octets[:20], length=28)
    text = HEAD + FILE
    for source, value in (("hex", octets.hex()), ("file", "one.bin"), ("pcap", "two.pcap"), ("packet", PING)):
        text += f'[[traffic]]\nat = 2\ninterface = "em0"\n{source} = "{value}"\n'
    text += '[[traffic]]\nat = 1\nrepeat = 2\nevery = 3\nwords = "udp from 192.168.1.1 7 to 192.168.1.2 9"\n'
    loaded = load(written(tmp_path, text))
    found = [(arrival.at, arrival.interface, len(arrival.octets)) for arrival in loaded.arrivals]
    assert found == [
        (1.0, None, 28),
        *[(2.0, "em0", 28)] * 4,
        (2.25, "em0", 20),
        (4.0, None, 28),
    ]
    assert loaded.arrivals[1].octets == loaded.arrivals[2].octets == loaded.arrivals[3].octets == octets
    assert loaded.seconds == 64.0
