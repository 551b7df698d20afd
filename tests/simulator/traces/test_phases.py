"""The way of each packet in numbered phases, as text that stays as it is."""

from __future__ import annotations

from simulator.scenario.reading import read
from simulator.scenario.runner import play
from simulator.traces.journeys import Journey, journeys
from simulator.traces.phases import phases, phases_as_json

LINUX = """
router linux-2.2
interface eth0 192.168.1.1/24
interface eth1 10.0.0.1/24
ipchains -A input -t 0x01 0x10
ipchains -A forward -p icmp -j DIVERT 1234
program 1234 passthrough
allow other packets
eth0 receives icmp from 192.168.1.2 to 10.0.0.2
"""

PHASES = """\
#1  icmp 192.168.1.2 > 10.0.0.2 echo request, ttl 64, 28 octets
     1  0.0000    received eth0
     2  0.0000    input eth0             ACCEPT  input:policy
                                           after input:1 matched
     3  0.0000    changed eth0           tos 0x00 -> 0x10
                                           ip.tos 0x00 -> 0x10
                                           ip.chksum 0xaf34 -> 0xaf24
     4  0.0000    routed eth0            to eth1
     5  0.0000    forward eth1           DIVERT 1234  forward:1: -A forward -p icmp -j DIVERT 1234
                                           ip.ttl 64 -> 63
                                           ip.chksum 0xaf24 -> 0xb024
     6  0.0000    diverted eth1          port 1234 192.168.1.1:1234
    =>  diverted to port 1234, address 192.168.1.1:1234

#2  icmp 192.168.1.2 > 10.0.0.2 echo request, ttl 63, 28 octets
    written by the program that was given #1
     1  0.0000    injected eth0          as received on eth0 to port 1234
     2  0.0000    forward eth1           ACCEPT  forward:policy
     3  0.0000    output eth1            ACCEPT  output:policy
     4  0.0000    transmitted eth1
    =>  left by eth1"""

BSD = """
router freebsd-13
interface em0 192.168.1.1/24
interface em1 10.0.0.1/24
ipfw add 100 count ip from any to any
ipfw add 200 skipto 400 icmp from any to any
ipfw add 300 allow ip from any to any
ipfw add 400 allow icmp from any to any in
ipfw add 500 tee 8668 icmp from any to any out
ipfw add 600 deny icmp from any to any icmptypes 8
+1.5 em0 receives icmp from 192.168.1.2 to 10.0.0.2
"""


def way(text: str) -> list[Journey]:
    (case,) = play(read(text, "a.scn")).cases
    assert case.passed, case.failures
    return journeys(("", moment.event) for moment in case.moments)


def test_phases_of_a_diverted_packet() -> None:
    assert phases(way(LINUX)) == PHASES


def test_rules_that_matched_before_and_what_became_of_it() -> None:
    text = phases(way(BSD))
    assert "1.5000    in em0                 allow  400: allow icmp from any to any in" in text
    assert "after 100, 200 matched" in text
    assert "out em1                tee 8668  500: tee 8668 icmp from any to any out" in text
    assert "=>  dropped: denied by the firewall (DENIED)" in text


def test_json_says_the_same() -> None:
    first, second = phases_as_json(way(LINUX))
    assert (first["packet"], first["fate"], second["after"]) == (1, "diverted", 1)
    forward = first["events"][4]
    assert (forward["hook"], forward["rule"], forward["text"]) == (
        "forward",
        "forward:1",
        "-A forward -p icmp -j DIVERT 1234",
    )
    assert forward["changes"][0] == {"field": "ip.ttl", "from": "64", "to": "63"}
    assert [event["ends"] for event in second["events"]] == [False, False, False, True]
