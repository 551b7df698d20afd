"""Findings in SARIF 2.1.0 (OASIS), which code-review tools read."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from simulator.linting.kinds import ABOUT
from simulator.linting.lint import Report

__all__ = ["sarif"]

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(report: Report, path: PurePath, version: str) -> dict[str, Any]:
    """One run with one result for each finding; ``path``: of the rule file, best as seen from the repository."""
    uri = path.as_uri() if path.is_absolute() else quote(path.as_posix())
    kinds = sorted({each.kind for each in report.found})
    rules = [{"id": kind.value, "shortDescription": {"text": ABOUT[kind]}} for kind in kinds]
    results = []
    for each in report.found:
        text = f"rule {each.rule}: {each.reason}"
        if each.packet is not None:
            text += f". Packet: {each.packet.words}"
        result: dict[str, Any] = {
            "ruleId": each.kind.value,
            "ruleIndex": kinds.index(each.kind),
            "level": "warning",
            "message": {"text": text},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": uri},
                        **({"region": {"startLine": each.line}} if each.line else {}),
                    }
                }
            ],
            "properties": each.as_json(),
        }
        results.append(result)
    driver = {"name": "divertsim lint", "version": version, "rules": rules}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
