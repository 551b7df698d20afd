"""What a person reads of a script that failed."""

from __future__ import annotations

from simulator.scenario.reading import read
from simulator.scenario.report import failure_report, summary_line
from simulator.scenario.runner import play

SCRIPT = """\
# A lesson.
router linux-2.2
interface eth0 192.168.1.1/24
interface eth1 10.0.0.1/24
eth0 receives udp from 192.168.1.2 to 10.0.0.2 53
    expect eth1 sends IP(src="192.168.1.2", dst="10.0.0.2")/UDP(sport=1024)
"""

REPORT = """\
lesson.scn:6:5: failed: eth1 sends: differs in ip.ttl, ip.chksum
        expect eth1 sends IP(src="192.168.1.2", dst="10.0.0.2")/UDP(sport=1024)
        ^
      field         expected     actual
      ip.version    4            4
      ip.ihl        5            5
      ip.tos        0x00         0x00
      ip.len        28           28
      ip.id         1            1
      ip.flags      0            0
      ip.frag       0            0
    > ip.ttl        64           63
      ip.proto      17           17
    > ip.chksum     0xaf24       0xb024
      ip.src        192.168.1.2  192.168.1.2
      ip.dst        10.0.0.2     10.0.0.2
      udp.sport     1024         1024
      udp.dport     53           53
      udp.len       8            8
      udp.chksum    0x2ffd       0x2ffd
  what happened since the action before:
       0.0000  #1    received    eth0      udp 192.168.1.2:1024 > 10.0.0.2:53, ttl 64, 28 octets
       0.0000  #1    input       eth0      ACCEPT (input:policy)
       0.0000  #1    routed      eth0      to eth1
       0.0000  #1    forward     eth1      ACCEPT (forward:policy)
       0.0000  #1    output      eth1      ACCEPT (output:policy)
       0.0000  #1    transmitted eth1      udp 192.168.1.2:1024 > 10.0.0.2:53, ttl 63, 28 octets"""


def test_a_failure_shows_the_place_both_packets_and_what_led_there() -> None:
    (case,) = play(read(SCRIPT, "lesson.scn")).cases
    (failure,) = case.failures
    assert failure_report(failure) == REPORT


def test_the_summary() -> None:
    good = play(read("router linux-2.2\nexpect nothing", "a"))
    bad = play(read("router linux-2.2\nexpect log 'x'", "b"))
    assert summary_line([good], 0.12) == "1 script, 1 case: 1 passed (1 expectation, 0.1 s)"
    assert summary_line([good, bad], 2) == "2 scripts, 2 cases: 1 passed, 1 failed (2 expectations, 2.0 s)"
