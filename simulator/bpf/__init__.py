"""The BSD packet filter: a machine that runs filter programs, and libpcap's compiler of ``tcpdump``'s expressions."""

from simulator.bpf.codes import Instruction
from simulator.bpf.compiler import compile_filter
from simulator.bpf.machine import Program

__all__ = ["Instruction", "Program", "compile_filter"]
