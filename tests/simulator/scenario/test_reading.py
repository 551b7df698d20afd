"""The language of scenarios: from text to the model, and what is said of text that is no script."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.scenario import model
from simulator.scenario.loading import Folder
from simulator.scenario.model import ScriptError
from simulator.scenario.reading import MOST_LINES, read
from simulator.spoken import speak
from simulator.wire import ipv4

PLACE = model.Place("a.scn", 1, 1)


def statement(line: str) -> object:
    (found,) = read(line, "a.scn").setup
    return found.statement


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("router linux-2.2", model.Router(None, "linux-2.2", {}, False)),
        (
            "router R1 freebsd-13 default_accept=yes",
            model.Router("R1", "freebsd-13", {"default_accept": "yes"}, False),
        ),
        ("host A", model.Router("A", "linux-2.2", {}, True)),
        ("host A freebsd-4", model.Router("A", "freebsd-4", {}, True)),
        ("on R1", model.On("R1")),
        ("interface eth0", model.Interface("eth0", (), None, None)),
        (
            "interface eth0 10.0.0.1/24 10.0.1.1/24 mtu 576",
            model.Interface("eth0", ("10.0.0.1/24", "10.0.1.1/24"), 576, None),
        ),
        ("interface ppp0 10.0.0.1 peer 10.0.0.2", model.Interface("ppp0", ("10.0.0.1",), None, "10.0.0.2")),
        ("address eth0 10.0.0.9/24", model.Address("eth0", "10.0.0.9/24")),
        ("route 0.0.0.0/0 via 10.0.0.254", model.Route("0.0.0.0/0", via="10.0.0.254")),
        ("route 10.9.0.0/16 interface eth1", model.Route("10.9.0.0/16", interface="eth1")),
        ("route 10.9.0.0/16 reject", model.Route("10.9.0.0/16", kind="reject")),
        ("link A.eth0 to R1.em0", model.Link("A.eth0", "R1.em0", {})),
        (
            "link A.eth0 to R1.em0 delay 10ms loss 5% seed 3",
            model.Link("A.eth0", "R1.em0", {"delay": 0.01, "loss": 0.05, "seed": 3}),
        ),
        ("allow other packets", model.Allow(())),
        ("allow other packets on eth0 on d", model.Allow(("eth0", "d"))),
        ("ipfw add 100 allow ip from any to any # all", model.Command("ipfw", "add 100 allow ip from any to any")),
        (
            'ipfw add allow ip from any to any // "not a',
            model.Command("ipfw", 'add allow ip from any to any // "not a'),
        ),
        ("ipchains -L -n", model.Command("ipchains", "-L -n")),
        ("socket d divert 8668", model.Socket("d", "divert", 8668)),
        ("socket d divert natd", model.Socket("d", "divert", 8668)),
        ("socket d divert 10.0.0.1 natd as www", model.Socket("d", "divert", 8668, "10.0.0.1", "", "www")),
        ("program natd natd -n em0", model.Program(8668, "natd", ("-n", "em0"))),
        ("socket u udp 10.0.0.1 53", model.Socket("u", "udp", 53, "10.0.0.1")),
        ("socket u udp 53", model.Socket("u", "udp", 53)),
        ("socket r raw 1", model.Socket("r", "raw", 1)),
        ("program 8668 mangle --ttl 9 'a b'", model.Program(8668, "mangle", ("--ttl", "9", "a b"))),
        ("packet p = hex 4500 0014", model.PacketDefinition("p", model.Hex(b"\x45\0\0\x14"))),
        ("d closes", model.Closes("d")),
        ("eth0 goes down", model.Goes("eth0", False)),
        ("eth0 joins 224.1.2.3", model.Joins("eth0", "224.1.2.3")),
        ("d sets SO_REUSEPORT 1", model.Sets("d", "SO_REUSEPORT", 1)),
        ("d sets IP_OPTIONS b'\\x01\\x01\\x01\\x00'", model.Sets("d", "IP_OPTIONS", b"\1\1\1\0")),
        ("expect nothing", model.Silence(0.0)),
        ("expect nothing for 2s", model.Silence(2.0)),
        ("expect eth1 sends nothing within 500ms", model.Transmits("eth1", model.Nothing(), 0.5)),
        ("expect failure EACCES", model.Failure("EACCES", None)),
        ('expect failure 65 "ipfw: invalid action frob"', model.Failure("65", "ipfw: invalid action frob")),
        ("expect output\n  | one\n  |   two\n", model.Output(("one", "  two"))),
        ("expect output", model.Output(())),
        ('expect log "Accept"', model.Log("Accept")),
        ("expect path in divert 8668, out allow by 200", model.Path(("in divert 8668", "out allow by 200"))),
        ("expect counter 100 packets 3", model.Counter("100", 3, None)),
        ("expect counter input 1 packets 3 octets 84", model.Counter("input:1", 3, 84)),
        ("expect dropped NO_ROUTE", model.Drop("NO_ROUTE")),
        ("expect ledger balanced", model.LedgerCounts({})),
        ("expect ledger received 2, dropped 1", model.LedgerCounts({"received": 2, "dropped": 1})),
    ],
)
def test_statements(line: str, expected: object) -> None:
    assert statement(line) == expected


def test_packets() -> None:
    (whole,) = read('packet p = IP(dst="10.0.0.2") / ICMP() / ("x" * 9)', "a.scn").setup
    assert isinstance(whole.statement, model.PacketDefinition)
    assert isinstance(whole.statement.packets, model.Scapy)
    assert whole.statement.packets.text == 'IP(dst="10.0.0.2") / ICMP() / ("x" * 9)'
    said = statement('eth0 receives udp from 10.0.0.1 to 10.0.0.2 53 data "a # b" # comment')
    assert isinstance(said, model.Receives)
    assert isinstance(said.packets, model.Said)
    assert said.packets.spoken.fields["load"] == b"a # b"
    edited = statement('expect eth1 sends p with ttl=63, src="10.0.0.1", load=b"\\x00" within 1s')
    assert isinstance(edited, model.Transmits)
    assert isinstance(edited.packets, model.Edited)
    assert edited.packets.edits == {"ttl": 63, "src": "10.0.0.1", "load": b"\0"}
    pieces = statement("eth0 receives fragments of p with ttl=9 at 576 order 2 1 1")
    assert isinstance(pieces, model.Receives)
    assert isinstance(pieces.packets, model.Fragments)
    assert (pieces.packets.mtu, pieces.packets.order) == (576, (2, 1, 1))
    piece = statement("expect eth1 sends fragment 2 of p at 576 with ttl=3")
    assert isinstance(piece, model.Transmits)
    assert isinstance(piece.packets, model.Edited)
    assert isinstance(piece.packets.source, model.Fragment)


def test_words_of_a_packet_end_where_the_sentence_goes_on() -> None:
    read_line = statement("expect d reads icmp from 10.0.0.1 to 10.0.0.2 address 0.0.0.0 tag 100 within 1s")
    assert isinstance(read_line, model.Reads)
    assert read_line.address == model.ReadAddress("0.0.0.0", 100, None)
    assert read_line.within == 1.0
    written = statement("d writes icmp from 10.0.0.1 to 10.0.0.2 back")
    assert isinstance(written, model.Writes)
    assert written.to == "back"


def test_times_stand_before_a_statement_or_alone() -> None:
    first, second = read("+0.5 eth0 goes down\n@31", "a.scn").setup
    assert first.time == model.Time(0.5, relative=True)
    assert isinstance(first.statement, model.Goes)
    assert (second.time, second.statement) == (model.Time(31.0, relative=False), None)


def test_cases_and_the_description() -> None:
    script = read('# A lesson.\n#\n# More.\n\nrouter linux-2.2\n\ncase "one"\n@1\ncase "two"\n@2\n@3\n', "a.scn")
    assert script.description == "A lesson.\n\nMore."
    assert [type(line.statement) for line in script.setup] == [model.Router]
    assert [(case.name, len(case.lines)) for case in script.cases] == [("one", 1), ("two", 2)]
    assert script.cases[1].place.line == 9


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("rooter linux-2.2", 1, 1, "no statement begins with 'rooter' (did you mean router?)"),
        ("router linux-2.2\neth0 recieves ping", 2, 6, "'receives'"),
        ("expect eth1 sends", 1, 18, "not the end of the line"),
        ("expect d reads any address 300.0.0.1 tag 1", 1, 28, "not an address such as 10.0.0.1: '300.0.0.1'"),
        ("eth0 receives tcp from 10.0.0.1 to x", 1, 36, "one address on each side"),
        (
            "route 10.0.0.0/8 over eth1",
            1,
            18,
            "expected 'blackhole', 'gone', 'interface', 'reject' or 'via', not 'over'",
        ),
        ('case "a', 1, 6, "a quote that is not closed"),
        ('case "a"\ncase "a"', 2, 1, "there is a case 'a' already"),
        ("link a to b loss 120%", 1, 18, "a share is 0% to 100%: '120%'"),
        ("@99999999999", 1, 1, "a time is 0 to 10,000,000 seconds"),
        ("packet p = hex 450", 1, 12, "not octets in hex"),
        ("eth0 receives udp from 10.0.0.1 to 10.0.0.2 with ttl=3", 1, 15, "words say everything"),
        ("program 8668", 1, 1, "expected: program PORT NAME [OPTION ...]"),
        ("program nat natd", 1, 9, "no divert port is called 'nat': say a number, or 'natd'"),
        ("socket d divert http", 1, 17, "no divert port is called 'http'"),
        ('include "a.scn"', 1, 1, "this script has no folder to include from"),
        ("packet p = IP(ttl=1", 1, 20, "not the end of the line"),
        ("expect eth1 sends any with", 1, 27, "expected a name, not the end of the line"),
    ],
)
def test_errors_point_at_the_place(text: str, line: int, column: int, said: str) -> None:
    with pytest.raises(ScriptError) as error:
        read(text, "a.scn")
    place = error.value.place
    assert (place.line, place.column) == (line, column), str(error.value)
    assert said in error.value.message
    assert str(error.value).splitlines()[-1] == "    " + " " * (column - 1) + "^"


def test_includes_stay_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "secret.scn").write_text("router linux-2.2\n")
    (tmp_path / "scripts" / "_world.scn").write_text("router linux-2.2\n")
    (tmp_path / "scripts" / "_cases.scn").write_text('case "x"\n')
    (tmp_path / "scripts" / "_self.scn").write_text('include "_self.scn"\n')
    (tmp_path / "scripts" / "_link.scn").symlink_to(tmp_path / "secret.scn")
    reader = Folder(tmp_path / "scripts").text
    script = read('include "_world.scn"\n@1', "a.scn", reader)
    assert [line.place.file for line in script.setup] == ["_world.scn", "a.scn"]
    for name, said in {
        "../secret.scn": "it lies outside the script's folder",
        str(tmp_path / "secret.scn"): "it lies outside the script's folder",
        "_link.scn": "it lies outside the script's folder",
        "_none.scn": "No such file or directory",
        "_cases.scn": "an included script has no cases",
        "_self.scn": "includes go 8 deep at most",
    }.items():
        with pytest.raises(ScriptError) as error:
            read(f'include "{name}"', "a.scn", reader)
        assert said in error.value.message


def test_a_script_has_an_end() -> None:
    with pytest.raises(ScriptError, match="at most"):
        read("@1\n" * (MOST_LINES + 1), "a.scn")


@given(st.text(alphabet='aeinprst0 .:/|"#=()@+\n', max_size=60))
def test_any_text_is_a_script_or_an_error_with_a_place(text: str) -> None:
    place = None
    try:
        read(text, "a.scn")
    except ScriptError as error:
        place = error.place
    assert place is None or 1 <= place.line <= text.count("\n") + 2


def test_what_people_write_first() -> None:
    assert statement("route default via 10.0.0.9") == statement("route 0.0.0.0/0 via 10.0.0.9")
    found = statement("expect d reads any tag 100 address 10.0.0.9 within 2s")
    assert found == replace(
        statement("expect d reads any address 10.0.0.9 tag 100 within 2s"),  # type: ignore[type-var]
        packets=found.packets,  # type: ignore[attr-defined]
    )


def test_a_list_of_words_goes_on_behind_a_comma() -> None:
    found = statement("em0 receives tcp from 10.0.0.2 1 to 10.0.0.1 2 tcpflags syn,ack ttl 3")
    assert isinstance(found, model.Receives)
    assert isinstance(found.packets, model.Said)
    assert (found.packets.spoken.fields["tcp.flags"], found.packets.spoken.fields["ip.ttl"]) == (0x12, 3)


@pytest.mark.parametrize("brackets", ["IP(" * 5000 + ")" * 5000, "IP(dst=" + "[" * 5000 + "]" * 5000 + ")"])
def test_brackets_without_end(brackets: str) -> None:
    with pytest.raises(ScriptError, match="brackets are nested 50 deep at most") as failure:
        read("router linux-2.2\neth0 receives " + brackets, "a.scn")
    assert failure.value.place.line == 2


def test_includes_that_multiply_are_counted_each_time() -> None:
    texts = {f"{number}": f'include "{number + 1}"\n' * 10 for number in range(8)}
    with pytest.raises(ScriptError, match="at most 20000 lines, those of what it includes too"):
        read('include "1"\n' * 5, "a.scn", lambda name: texts.get(name, "allow other packets\n" * 9))


def test_an_order_has_an_end() -> None:
    with pytest.raises(ScriptError, match="at most 10,000 fragments in an order"):
        read("eth0 receives fragments of p at 576 order " + "1 " * 10_001, "a.scn")


def test_a_packet_of_every_protocol_can_be_said() -> None:
    """Names such as ipv6-icmp and a/n among them."""
    for number in range(256):
        words = speak(ipv4.Header(source=1, destination=2, protocol=number, identification=1).emit(b""))
        [line] = read(f"packet p = {words}", "a.scn").setup
        assert isinstance(line.statement, model.PacketDefinition)
        assert isinstance(line.statement.packets, model.Said)
        assert line.statement.packets.spoken.protocol == number, words
