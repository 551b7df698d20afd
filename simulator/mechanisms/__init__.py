"""The ways to get at packets, compared by trying them: packet tap, raw socket, netlink copy, divert socket, tee.

The Divert Sockets mini-HOWTO compares them in its section 6.1 in words.  Here each is opened on a router of its own,
sees the same packets, and tries the same things; what came of it is the comparison.
"""

from simulator.mechanisms.questions import QUESTIONS, Answer, Question, ask
from simulator.mechanisms.readers import MECHANISMS, Mechanism, mechanisms_of
from simulator.mechanisms.sightings import Sighting, sightings

__all__ = [
    "MECHANISMS",
    "QUESTIONS",
    "Answer",
    "Mechanism",
    "Question",
    "Sighting",
    "ask",
    "mechanisms_of",
    "sightings",
]
