"""Scripts in all styles against a router from a file: how they wait, how they end, what is told of them."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from simulator.cli import main
from simulator.hosting.description import load
from simulator.hosting.report import Result
from simulator.hosting.run import host
from simulator.hosting.world import World
from simulator.links.captures import read

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"

ROUTER = """
profile = "freebsd-13"
rules = ["add 100 divert 8668 icmp from any to any in", "add 200 allow ip from any to any"]
seconds = 10
[interfaces.em0]
address = "192.168.1.1/24"
[[traffic]]
at = 0.5
interface = "em0"
hex = "4500001c000100004001f78cc0a80102c0a801010800f7ff00000000"
repeat = 3
every = 0.25
"""
"""Three pings at 0.5, 0.75 and 1.0 s; each is answered if the script puts it back."""

OPEN = "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_RAW, 254)\ns.bind(('', 8668))\n"


def run(folder: Path, script: str, *arguments: str, router: str = ROUTER) -> Result:
    (folder / "router.toml").write_text(router)
    path = folder / "script.py"
    path.write_text(textwrap.dedent(script))
    return host(World(load(folder / "router.toml")), str(path), arguments, lambda _: None)


STYLES = {
    "blocking": """
        while True:
            s.sendto(*s.recvfrom(65535))
        """,
    "blocking into": """
        buffer = bytearray(2000)
        while True:
            length, address = s.recvfrom_into(buffer)
            s.sendto(memoryview(buffer)[:length], address)
        """,
    "timeout": """
        s.settimeout(0.3)
        while True:
            try:
                s.sendto(*s.recvfrom(65535))
            except TimeoutError:
                pass
        """,
    "SO_RCVTIMEO": """
        import struct
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 1, 0))
        while True:
            try:
                s.sendto(*s.recvfrom(65535))
            except BlockingIOError:
                pass
        """,
    "not blocking": """
        s.setblocking(False)
        while True:
            try:
                s.sendto(*s.recvfrom(65535))
            except BlockingIOError:
                pass
        """,
    "MSG_DONTWAIT and sleep": """
        import time
        while True:
            try:
                s.sendto(*s.recvfrom(65535, socket.MSG_DONTWAIT))
            except BlockingIOError:
                time.sleep(0.1)
        """,
    "select": """
        import select
        while True:
            if select.select([s], [], [], 0.2)[0]:
                s.sendto(*s.recvfrom(65535))
        """,
    "poll": """
        import select
        poll = select.poll()
        poll.register(s, select.POLLIN)
        while True:
            for descriptor, event in poll.poll(300):
                assert descriptor == s.fileno()
                s.sendto(*s.recvfrom(65535))
        """,
    "selectors": """
        import selectors
        selector = selectors.DefaultSelector()
        selector.register(s, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                key.fileobj.sendto(*key.fileobj.recvfrom(65535))
        """,
    "asyncio": """
        import asyncio
        async def main():
            s.setblocking(False)
            loop = asyncio.get_running_loop()
            loop.add_reader(s, lambda: s.sendto(*s.recvfrom(65535)))
            await asyncio.Event().wait()
        asyncio.run(main())
        """,
    "a receiving thread": """
        import threading
        def work():
            while True:
                s.sendto(*s.recvfrom(65535))
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        """,
    "two threads": """
        import queue, threading
        waiting = queue.Queue()
        def back():
            while True:
                s.sendto(*waiting.get())
        threading.Thread(target=back, daemon=True).start()
        while True:
            waiting.put(s.recvfrom(65535))
        """,
    "two receiving threads": """
        import threading
        def work():
            while True:
                s.sendto(*s.recvfrom(65535))
        threading.Thread(target=work).start()
        work()
        """,
    "threads that outlive the main one": """
        import threading
        def work():
            while True:
                s.sendto(*s.recvfrom(65535))
        threading.Thread(target=work).start()
        """,
    "a class of its own": """
        class Divert(socket.socket):
            def __init__(self):
                super().__init__(socket.AF_INET, socket.SOCK_RAW, 258)
        s.close()
        with Divert() as divert:
            assert isinstance(divert, socket.socket)
            divert.bind(("", 8668))
            while True:
                divert.sendto(*divert.recvfrom(65535))
        """,
}


@pytest.mark.parametrize("style", STYLES)
def test_every_way_of_waiting(style: str, tmp_path: Path) -> None:
    result = run(tmp_path, OPEN + textwrap.dedent(STYLES[style]))
    assert (result.status, result.over) == (0, True)
    assert [sent.time for sent in result.world.sent] == pytest.approx([0.5, 0.75, 1.0], abs=0.11)
    assert result.world.router.ledger.balanced


def test_time_is_the_routers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = time.monotonic()
    script = """
        import time, select
        begin, monotonic = time.time(), time.monotonic()
        time.sleep(2)
        assert select.select([], [], [], 3.5) == ([], [], [])
        print(round(time.time() - begin, 6), round(time.monotonic() - monotonic, 6), time.monotonic_ns())
    """
    assert run(tmp_path, script).status == 0
    assert capfd.readouterr().out == "5.5 5.5 5500000000\n"
    assert time.monotonic() - before < 5


def test_everything_is_put_back(tmp_path: Path) -> None:
    before = socket.socket, select.select, time.sleep, os.geteuid, os.environ["PATH"], sys.argv, sys.stdin
    run(tmp_path, OPEN + "import os\nassert os.geteuid() == 0\ns.recv(1)")
    assert before == (socket.socket, select.select, time.sleep, os.geteuid, os.environ["PATH"], sys.argv, sys.stdin)


ENDINGS: dict[str, tuple[str, int, bool, str]] = {
    "runs through": ("print('done')", 0, False, ""),
    "sys.exit": ("import sys; sys.exit(7)", 7, False, ""),
    "sys.exit with words": ("import sys; sys.exit('no good')", 1, False, "no good\n"),
    "finally": (
        OPEN + "try:\n    s.recv(1), s.recv(1), s.recv(1), s.recv(1)\nfinally:\n    print('cleaned')",
        0,
        True,
        "",
    ),
    "except KeyboardInterrupt": (
        OPEN + "import sys\ntry:\n    while 1: s.recv(1)\nexcept KeyboardInterrupt:\n    sys.exit(3)",
        3,
        True,
        "",
    ),
    "a handler and a flag": (
        OPEN
        + "import signal\non = True\ndef stop(*_):\n    global on\n    on = False\nsignal.signal(signal.SIGINT, stop)\n"
        "s.settimeout(1)\nwhile on:\n    try: s.recv(1)\n    except TimeoutError: pass\nraise SystemExit(4)",
        4,
        True,
        "",
    ),
    "SIGINT ignored": (OPEN + "import signal\nsignal.signal(2, signal.SIG_IGN)\nwhile 1: s.recv(1)", 0, True, ""),
    "except Exception": (OPEN + "while 1:\n    try: s.recv(1)\n    except Exception: print('never')", 0, True, ""),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_endings(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script, status, over, errors = ENDINGS[name]
    result = run(tmp_path, script)
    captured = capfd.readouterr()
    assert (result.status, result.over, captured.err) == (status, over, errors)
    assert "never" not in captured.out


def test_tracebacks_are_the_scripts_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = (
        OPEN
        + "def twice():\n    s.bind(('', 8668))\n\n"
        + "try:\n    twice()\nexcept OSError as error:\n    raise KeyError(1) from error\n"
    )
    assert run(tmp_path, script).status == 1
    lines = capfd.readouterr().err.splitlines()
    path = tmp_path / "script.py"
    assert [line for line in lines if line.startswith("  File")] == [
        f'  File "{path}", line 8, in <module>',
        f'  File "{path}", line 5, in twice',
        f'  File "{path}", line 10, in <module>',
    ]
    assert lines[-1] == "KeyError: 1"
    assert any(line.startswith("OSError: [Errno 22] Invalid argument") for line in lines)


def test_a_thread_that_fails_is_told_and_the_rest_goes_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = (
        OPEN
        + "import threading\nt = threading.Thread(target=lambda: 1/0, name='worker')\n"
        + "t.start(); t.join()\ns.sendto(*s.recvfrom(9000))\n"
    )
    assert run(tmp_path, script).status == 0
    told = capfd.readouterr().err
    assert told.startswith("Exception in thread worker:\nTraceback")
    assert told.endswith("ZeroDivisionError: division by zero\n")


def test_a_syntax_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "def f(:\n    pass\n").status == 1
    assert "SyntaxError" in capfd.readouterr().err


COMMANDS = {
    "subprocess": "import subprocess\nsubprocess.run(['ipfw', 'list', '100'], check=True)",
    "an absolute path": "import subprocess\nprint(subprocess.check_output(['/sbin/ipfw', 'list', '100']).decode())",
    "os.popen": "import os\nprint(os.popen('ipfw list 100').read())",
    "os.system": "import os\nos.system('ipfw list | grep ^00100')",
    "a file": "import os\nopen('rules', 'w').write('list 100\\n')\nos.system(f'ipfw {os.getcwd()}/rules')",
}


@pytest.mark.parametrize("way", COMMANDS)
def test_ipfw_run_by_a_script(
    way: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path, COMMANDS[way]).status == 0
    assert capfd.readouterr().out.strip() == "00100 divert 8668 icmp from any to any in"


def test_a_refused_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, "import os, sys\nsys.exit(os.waitstatus_to_exitcode(os.system('ipfw add nonsense')))")
    assert capfd.readouterr().err.startswith("ipfw: invalid action nonsense\n")


def test_ipchains_where_the_kernel_has_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    router = 'profile = "linux-2.2"\n'
    script = (
        "import os\nos.system('ipchains -A input -p icmp -j DIVERT 9; ipchains -L input -n')\nos.system('ipfw list')"
    )
    run(tmp_path, script, router=router)
    captured = capfd.readouterr()
    assert "DIVERT" in captured.out
    assert "not found" in captured.err


@pytest.mark.parametrize(
    ("profile", "number"), [("freebsd-13", "258"), ("freebsd-4", "254"), ("dragonfly", "254"), ("linux-2.2", "none")]
)
def test_getprotobyname(profile: str, number: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = "import socket\ntry: print(socket.getprotobyname('divert'))\nexcept OSError: print('none')\n"
    script += "assert socket.getprotobyname('tcp') == 6"
    run(tmp_path, script, router=f'profile = "{profile}"\n')
    assert capfd.readouterr().out.strip() == number


def test_pf_divert_is_there_where_the_kernel_has_it(tmp_path: Path) -> None:
    script = "import socket, sys\nsocket.socket(socket.PF_DIVERT, socket.SOCK_RAW).close()"
    assert run(tmp_path, script, router='profile = "freebsd-14"\n').status == 0


def test_commands_and_standard_input_come_in_time(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    router = (
        ROUTER
        + """
        [[commands]]
        at = 0.6
        run = "delete 100"
        [[commands]]
        at = 0.7
        run = "add nonsense"
        [[stdin]]
        at = 0.2
        text = "hello\\n"
        [[stdin]]
        at = 3
        text = "goodbye"
    """
    )
    script = (
        OPEN
        + """
import sys, time
print(input(), time.monotonic())
s.settimeout(1)
print(len(s.recv(100)), time.monotonic())
try:
    s.recv(100)
except TimeoutError:
    print("nothing", time.monotonic())
print(sys.stdin.read(), time.monotonic())
"""
    )
    result = run(tmp_path, script, router=textwrap.dedent(router))
    assert capfd.readouterr().out.splitlines() == ["hello 0.2", "28 0.5", "nothing 1.5", "goodbye 10.0"]
    assert result.world.refused[0].startswith("commands[2]: add nonsense: ipfw: invalid action nonsense")


def test_other_sockets_are_this_machines(tmp_path: Path) -> None:
    script = """
        import socket
        one, other = socket.socketpair()
        one.send(b"x"); assert other.recv(1) == b"x"
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
            assert server.accept()[1] == client.getsockname()
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("192.168.1.1", 53))
    """
    assert run(tmp_path, script).status == 0


def command(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "simulator.run", *map(str, words)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(program, capture_output=True, text=True, timeout=60, env=environment, **options)


def test_a_script_that_cannot_be_ended_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "script.toml").write_text(ROUTER)
    (tmp_path / "script.py").write_text(OPEN + "while True:\n    try: s.recv(1)\n    except: pass\n")
    done = command(tmp_path / "script.py")
    assert done.returncode == 1
    assert "goes on after the end, whatever is raised: given up" in done.stderr
    assert "3 diverted" in done.stdout


def test_json_and_a_capture_file(tmp_path: Path) -> None:
    (tmp_path / "router.toml").write_text(ROUTER)
    (tmp_path / "script.py").write_text(
        OPEN + "import os, sys\nprint(sys.argv[1:])\nos.system('echo child')\nwhile True: s.sendto(*s.recvfrom(9000))"
    )
    pcap = tmp_path / "out.pcap"
    options = ("--router", tmp_path / "router.toml", "--json", "--show", "trace", "-w", pcap)
    done = command(*options, tmp_path / "script.py", "--json", "-w")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert [(sent["time"], sent["interface"]) for sent in found["sent"]] == [(0.5, "em0"), (0.75, "em0"), (1.0, "em0")]
    assert (found["status"], found["ended"], found["seconds"]) == (0, "time", 10.0)
    assert found["ledger"]["diverted"] == 3
    assert found["trace"][0]["kind"] == "received"
    assert done.stderr == "['--json', '-w']\nchild\n"
    assert [(packet.time, packet.frame.hex()) for packet in read(pcap)] == [
        (sent["time"], sent["octets"]) for sent in found["sent"]
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nosuch.py"], "no such script: nosuch.py"),
        (["script.py"], "there is no script.toml: say --router FILE"),
        (["--router", "bad.toml", "script.py"], "divertsim exec: bad.toml: profile: is missing"),
        (["--show", "nothing", "script.py"], "'nothing' is not one of"),
        (["--router", "nosuch.toml", "script.py"], "No such file or directory: 'nosuch.toml'"),
        (["--router", "good.toml", "-w", "no/such.pcap", "script.py"], "No such file or directory: 'no/such.pcap'"),
    ],
)
def test_misuse(words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "script.py").write_text("")
    (tmp_path / "bad.toml").write_text("")
    (tmp_path / "good.toml").write_text(ROUTER)
    done = CliRunner().invoke(main, ["exec", *words])
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr


# -- the examples ------------------------------------------------------------------------------------------------------


def example(name: str, *arguments: str) -> Result:
    world = World(load(EXAMPLES / f"{name}.toml"))
    return host(world, str(EXAMPLES / f"{name}.py"), arguments, lambda _: None)


def test_injector(capfd: pytest.CaptureFixture[str]) -> None:
    """Writes without reading: outward, and inward at a local address."""
    outward = example("injector", "--dst", "10.0.0.2", "--ttl", "9")
    inward = example("injector", "--dst", "10.0.0.2", "--ttl", "9", "--in", "192.168.1.1")
    assert [(sent.interface, sent.octets[8]) for sent in outward.world.sent] == [("em1", 9)]
    assert [(sent.interface, sent.octets[8]) for sent in inward.world.sent] == [("em1", 8)]
    assert capfd.readouterr().out == "36 octets written outward\n36 octets written inward at 192.168.1.1\n"
    with_errors = example("injector", "--dst", "10.0.0.2", "--in", "172.16.9.9")
    assert with_errors.status == 1
    assert "Cannot assign requested address" in capfd.readouterr().err


def test_ttl_server(capfd: pytest.CaptureFixture[str]) -> None:
    """Told what to do over standard input, manages its rules with ipfw, marks packets, ends with its input."""
    result = example("ttl_server")
    assert (result.status, result.over) == (0, True)
    captured = capfd.readouterr()
    assert captured.out.splitlines() == ["STARTED", *["marked 28 octets, tag 12300"] * 2]
    assert [line.split(" ", 4)[3] for line in captured.err.splitlines()] == ["delete", "add", "delete"]
    assert [(sent.interface, sent.octets[8]) for sent in result.world.sent] == [("em1", 42), ("em1", 42), ("em0", 64)]
    assert "12300" not in result.world.router.ipfw("list")


def test_responder(capfd: pytest.CaptureFixture[str]) -> None:
    """Asks /etc/protocols for divert, answers pings to anybody, and cleans up after Ctrl-C."""
    result = example("responder")
    assert (result.status, result.over) == (0, True)
    assert capfd.readouterr().out.splitlines() == [*["answering for 203.0.113.77"] * 3, "3 answered"]
    scapy = pytest.importorskip("scapy.layers.inet")
    assert len(result.world.sent) == 3
    for sent in result.world.sent:
        reply = scapy.IP(sent.octets)
        assert (reply.src, reply.dst, reply[scapy.ICMP].type) == ("203.0.113.77", "192.168.1.2", 0)
        fresh = reply.copy()
        del fresh.chksum, fresh[scapy.ICMP].chksum
        assert bytes(fresh) == sent.octets
    assert "divert" not in result.world.router.ipfw("list")
