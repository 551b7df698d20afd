"""For tests of programs, rules and routers: comparisons that speak of fields instead of octets."""

from __future__ import annotations

from simulator.testing.octets import assert_same, explain

__all__ = ["assert_same", "explain"]
