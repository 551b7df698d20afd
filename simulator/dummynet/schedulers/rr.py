"""RR: deficit round robin (dn_sched_rr.c).  A queue may send ``weight`` times ``lmax`` octets a round."""

from __future__ import annotations

from collections import deque

from simulator.dummynet.held import Held
from simulator.dummynet.queue import Queue

__all__ = ["RoundRobin"]


class _Turn:
    """A queue in the round."""

    __slots__ = ("credit", "listed", "quantum", "queue")

    def __init__(self, queue: Queue, quantum: int) -> None:
        self.queue = queue
        self.quantum = quantum
        self.credit = quantum
        self.listed = False


class RoundRobin:
    """Serves the queue at the front as long as its credit lasts, then the next."""

    def __init__(self) -> None:
        self._turns: dict[Queue, _Turn] = {}
        self._round: deque[_Turn] = deque()

    def join(self, queue: Queue, weight: int, lmax: int) -> None:
        self._turns[queue] = _Turn(queue, weight * lmax)

    def leave(self, queue: Queue) -> None:
        turn = self._turns.pop(queue)
        if turn.listed:
            self._round.remove(turn)

    def place(self, queue: Queue) -> Queue:
        return queue

    def backlogged(self, queue: Queue) -> None:
        turn = self._turns[queue]
        if not turn.listed:
            turn.listed = True
            turn.credit = turn.quantum
            self._round.append(turn)

    def dequeue(self, now: int) -> Held | None:
        while self._round:
            turn = self._round[0]
            if not turn.queue:
                turn.listed = False
                self._round.popleft()
            elif turn.queue.packets[0].length > turn.credit:
                turn.credit += turn.quantum
                self._round.rotate(-1)
            else:
                turn.credit -= turn.queue.packets[0].length
                return turn.queue.popleft(now)
        return None
