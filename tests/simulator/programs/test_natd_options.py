"""natd's options, from the command line and from files, and what it says of wrong ones."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest
from datagrams import address

from rules.aliasing import AddressRedirect, Mode, PortRedirect, ProtocolRedirect, Server
from simulator.programs.natd_options import OptionError, Options, read_options, usage

PUBLIC = "-a 1.2.3.4"
GIVEN = Options(alias_address=address("1.2.3.4"))
MODE = GIVEN.mode


def read(words: str, **files: str) -> Options:
    def text(name: str) -> str:
        try:
            return files[name]
        except KeyError:
            raise OSError(2, os.strerror(2)) from None

    return read_options(words.split(), text)


def mode(**changed: bool) -> dict[str, Mode]:
    return {"mode": replace(MODE, **changed)}


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        ("", {}),
        ("-m", {}),
        ("-m no", mode(same_ports=False)),
        ("-same_ports no", mode(same_ports=False)),
        ("-u", mode(unreg_only=True)),
        ("-unregistered_only yes", mode(unreg_only=True)),
        ("-unregistered_cgn", mode(unreg_cgn=True)),
        ("-l", mode(log=True)),
        ("-d", mode(deny_in=True)),
        ("-d -d no", {}),
        ("-deny_incoming yes -reverse", mode(deny_in=True, reverse=True)),
        ("-proxy_only", mode(proxy_only=True)),
        ("-v -dynamic -log_denied", {"verbose": True, "dynamic": True, "log_denied": True}),
        ("-log_ipfw_denied no", {"log_ipfw_denied": False}),
        ("-p 9000", {"port": 9000}),
        ("-port natd", {"port": 8668}),
        ("-i 9001 -o 9002", {"in_port": 9001, "out_port": 9002}),
        ("-t 192.168.1.9", {"target_address": address("192.168.1.9")}),
        ("-target_address 255.255.255.255", {"target_address": address("255.255.255.255")}),
        (
            "-redirect_port tcp 192.168.1.2:80 8080",
            {
                "redirects": (
                    PortRedirect(protocol="tcp", local=address("192.168.1.2"), local_port=80, public_port=8080),
                )
            },
        ),
        (
            "-redirect_port udp 192.168.1.2:53,192.168.1.3:53 1.2.3.4:domain 9.9.9.9:1024",
            {
                "redirects": (
                    PortRedirect(
                        protocol="udp",
                        public=address("1.2.3.4"),
                        public_port=53,
                        remote=address("9.9.9.9"),
                        remote_port=1024,
                        servers=(Server(address("192.168.1.2"), 53), Server(address("192.168.1.3"), 53)),
                    ),
                )
            },
        ),
        (
            "-redirect_address 192.168.1.2 1.2.3.5 -redirect_proto esp 192.168.1.3",
            {
                "redirects": (
                    AddressRedirect(local=address("192.168.1.2"), public=address("1.2.3.5")),
                    ProtocolRedirect(protocol=50, name="esp", local=address("192.168.1.3")),
                )
            },
        ),
    ],
)
def test_options(words: str, changed: dict[str, Any]) -> None:
    expected = replace(GIVEN, **changed)
    assert read(f"{PUBLIC} {words}") == expected
    lines = "".join(f"  {line.strip()}   # why\n\n" for line in words.split("-") if line.strip())
    assert read(f"{PUBLIC} -f natd.conf", **{"natd.conf": lines}) == expected


def test_an_interface_in_place_of_an_address() -> None:
    assert read("-n em1") == read("-interface em1") == Options(interface="em1")


def test_files_may_name_files() -> None:
    files = {"a": "config b\ninterface em1\n", "b": "verbose\n"}
    assert read("-config a", **files) == Options(interface="em1", verbose=True)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("", "aliasing address not given"),
        ("-a 1.2.3.4 -n em1", "both alias address and interface name are not allowed"),
        (f"{PUBLIC} -i 5", "both input and output ports are required"),
        ("frob", "invalid option frob"),
        ("-", "invalid option -"),
        ("-frob", "unknown option frob"),
        ("--interface em1", "unknown option -interface"),
        ("-u perhaps", "u needs yes/no parameter"),
        ("-verbose 1", "verbose needs yes/no parameter"),
        ("-p", "p needs service name or port number parameter"),
        ("-port frob", "unknown service frob/divert"),
        ("-port 0", "port: a divert port is between 1 and 65535, not 0"),
        ("-a", "a needs address/host parameter"),
        ("-a frob", "unknown host frob"),
        ("-n", "n needs parameter"),
        ("-redirect_port", "redirect_port needs parameter"),
        ("-redirect_port tcp", "redirect_port: missing local address"),
        ("-redirect_port tcp 10.0.0.1:1", "redirect_port: missing public port"),
        ("-redirect_port icmp 10.0.0.1:1 1", "unknown protocol icmp. Expected tcp or udp"),
        ("-redirect_port tcp 10.0.0.1 1", "10.0.0.1 is missing port number"),
        ("-redirect_port tcp 10.0.0.1:frob 1", "unknown service frob/tcp"),
        ("-redirect_port tcp 10.0.0.1:1-2 1", "redirect_port: port ranges must be equal in size"),
        (
            "-redirect_port tcp 10.0.0.1:1 1 9.9.9.9:1-2",
            "redirect_port: remote port must be 0 or equal to local port range in size",
        ),
        ("-redirect_port tcp 10.0.0.1:1 1 9.9.9.9 8", "redirect_port: what is '8'? At most 4 words follow"),
        ("-redirect_address 10.0.0.1", "redirect_address: missing public address"),
        ("-redirect_proto esp", "redirect_proto: missing local address"),
        ("-redirect_proto frob 10.0.0.1", "redirect_proto: unknown protocol frob"),
        ("-f", "f needs parameter"),
        ("-f nowhere", "cannot open config file nowhere: No such file or directory"),
        ("-f cut", "config file format error: last line should end with newline"),
        ("-f wrong", "unknown option frob (wrong, line 2)"),
        ("-f itself", "a file cannot be part of itself (itself, line 1)"),
        ("-proxy_rule port 80 server 1.2.3.4:80", "proxy_rule: proxy rules are not modelled here"),
        ("-punch_fw 100:10", "punch_fw: protocols that carry addresses in their data are not modelled here"),
        ("-skinny_port 2000", "skinny_port: protocols that carry addresses in their data are not modelled here"),
        ("-log_facility local0", "log_facility: there is no syslog here: log lines go to standard error"),
        ("-pid_file /var/run/natd.pid", "pid_file: natd runs in the foreground here"),
        ("-P /var/run/natd.pid", "P: natd runs in the foreground here"),
        ("-exit_delay 5", "exit_delay: natd ends at once here"),
        ("-instance default", "instance: a program is one translation here"),
        ("-globalport 7", "globalport: a program is one translation here"),
    ],
)
def test_complaints(words: str, complaint: str) -> None:
    with pytest.raises(OptionError) as caught:
        read(words, cut="verbose", wrong="verbose # yes\nfrob\n", itself="config itself\n")
    assert str(caught.value) == complaint


def test_files_that_name_each_other_are_refused() -> None:
    with pytest.raises(OptionError, match=r"a file cannot be part of itself \(b, line 1\) \(a, line 1\)"):
        read("-f a", a="config b\n", b="config a\n")


def test_sockets_are_nothing_to_use_and_that_is_told() -> None:
    (note,) = read(f"{PUBLIC} -s").notes
    assert note.startswith("use_sockets: ")
    assert read(f"{PUBLIC} -use_sockets no").notes == ()


def test_the_usage_names_every_option() -> None:
    for name in ("interface", "n", "redirect_port", "config", "f", "unregistered_only", "u"):
        assert f"\n-{name} " in usage()
