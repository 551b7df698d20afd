"""Captures played through a router: original timing on the simulated clock, what became of each packet, any size."""
