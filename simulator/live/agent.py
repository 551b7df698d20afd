"""The process that is a host: it lives in a network namespace of its own and does there what its parent asks.

Run by `simulator.live.host` as `python -m simulator.live.agent DESCRIPTOR`. Over that descriptor (a Unix socket that
keeps message boundaries) it gets an `Order`, makes the namespace with a TUN device in it, hands the device's descriptor
back, and then runs jobs: each a function in a forked process, so that any number of them run side by side and none can
hurt the agent. What a job says has to fit into one message (`LARGEST_MESSAGE`); more is an error of the job.

Its end is the end of everything in it. It is leader of a session and kills that whole process group when the parent
closes the socket or dies; the namespace and the device follow by themselves.
"""

from __future__ import annotations

import os
import pickle
import selectors
import signal
import socket
import sys
import traceback
from contextlib import suppress

from simulator.links.tun import TunUnavailableError, create_device, load_pytun
from simulator.live.addresses import configure
from simulator.live.messages import LARGEST_MESSAGE, Attached, Failed, Message, Order, Request, Stop
from simulator.live.namespaces import NamespaceError, die_with_parent, enter_network_namespace

__all__ = ["main", "serve"]

_LONGEST_TRACEBACK = LARGEST_MESSAGE // 8
"""Characters, of at most four octets each; the end of a traceback is what matters."""


def _attach(channel: socket.socket, order: Order) -> bool:
    """Make the host of `order` and hand its device over; any failure is told as a `Failed`. Whether there is a host."""
    stage, privilege = "namespace", ""
    try:
        privilege = enter_network_namespace()
        # Only now: entering a user namespace would have cleared it.
        die_with_parent(signal.SIGTERM)
        stage = "pytun"
        load_pytun()
        stage = "device"
        descriptor, device = create_device(order.device)
        stage = "address"
        configure(device, order.address, order.prefix, order.gateway, order.mtu)
    except (NamespaceError, TunUnavailableError) as error:
        cause, remedy = error.cause, error.remedy
    except ImportError as error:
        cause, remedy = f"pyroute2 cannot be imported ({error})", "pip install 'divertsim[lab]'"
    except Exception as error:
        cause, remedy = f"no {stage} ({type(error).__name__}: {error})", "run divertsim doctor"
    else:
        socket.send_fds(channel, [pickle.dumps(Attached(device, privilege))], [descriptor])
        os.close(descriptor)
        return True
    channel.send(pickle.dumps(Failed(stage, cause, remedy, privilege)))
    return False


def _run(channel: socket.socket, request: Request) -> None:
    """The job itself, in a process forked for it."""

    def tell(kind: str, value: object) -> None:
        octets = pickle.dumps(Message(request.job, kind, value))
        if len(octets) > LARGEST_MESSAGE:
            raise ValueError(f"a {kind} of {len(octets)} octets, more than the {LARGEST_MESSAGE} of a message")
        channel.send(octets)

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    die_with_parent()
    try:
        function, arguments = pickle.loads(request.call)
        tell("result", function(lambda value: tell("report", value), *arguments))
    except BaseException:
        tell("error", traceback.format_exc()[-_LONGEST_TRACEBACK:])


def serve(channel: socket.socket) -> None:
    """Do as the messages on `channel` say until the parent closes it."""
    selector = selectors.DefaultSelector()
    selector.register(channel, selectors.EVENT_READ)
    running: dict[int, int] = {}  # job -> process
    while True:
        for key, _ in selector.select():
            if key.fileobj is not channel:  # the pipe of a job: end of file, its process is gone
                job = key.data
                selector.unregister(key.fd)
                os.close(key.fd)
                os.waitpid(running.pop(job), 0)
                channel.send(pickle.dumps(Message(job, "ended", None)))
                continue
            octets = channel.recv(LARGEST_MESSAGE)
            if not octets:
                return
            order = pickle.loads(octets)
            if isinstance(order, Stop):
                if order.job in running:
                    os.kill(running[order.job], signal.SIGKILL)
                continue
            here, there = os.pipe()
            process = os.fork()
            if process == 0:
                os.close(here)
                try:
                    _run(channel, order)
                finally:
                    os._exit(0)
            os.close(there)
            running[order.job] = process
            selector.register(here, selectors.EVENT_READ, order.job)


def _end(*_: object) -> None:
    """Kill the process group, which is this process and its jobs."""
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """The process from its first moment to its last."""
    if os.getpgrp() != os.getpid():
        os.setsid()  # started by hand: the process group that is killed in the end must be our own
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    # The parent may go at any moment, and be it this early: a broken or reset socket is as good as its end.
    with socket.socket(fileno=int(sys.argv[1])) as channel, suppress(OSError):
        octets = channel.recv(LARGEST_MESSAGE)
        if octets and _attach(channel, pickle.loads(octets)):
            serve(channel)
    _end()


if __name__ == "__main__":
    main()
