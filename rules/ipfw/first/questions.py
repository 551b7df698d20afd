"""Questions that only the first ipfw can put (ip_fw.c)."""

from __future__ import annotations

from dataclasses import dataclass

from rules.fields import Fields
from rules.ipfw.placequestions import End
from rules.predicates import Ranges

__all__ = ["MaskedPort"]


_NONE = Ranges(())


@dataclass(frozen=True, slots=True)
class MaskedPort:
    """``80:0xfff0,8080``: a port equal to the first one where the mask has ones, or one of the others."""

    end: End
    port: int
    mask: int
    others: Ranges = _NONE

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({f"{self.end.value}_port"})

    def test(self, fields: Fields) -> bool:
        port = fields.source_port if self.end is End.SOURCE else fields.destination_port
        return port is not None and (not (port ^ self.port) & self.mask or port in self.others)

    def __str__(self) -> str:
        return ",".join([f"{self.port}:0x{self.mask:04x}", *([str(self.others)] if self.others.pairs else [])])
