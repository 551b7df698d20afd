"""Traces made readable: the way of each packet in numbered phases, the ways that packets took, a page to look at."""
