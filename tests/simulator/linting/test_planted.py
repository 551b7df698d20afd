"""Rule files with faults that are known, and without any: the faults are found, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rules.analysis import Kind
from simulator.linting.files import Conditions, RuleFile
from simulator.linting.lint import Report, lint
from simulator.linting.packets import meets, tried

FOLDER = Path(__file__).with_name("planted")
FAULTY = sorted(FOLDER.glob("faulty/*.rules"))
CLEAN = sorted(FOLDER.glob("clean/*.rules"))


def _said(text: str, word: str) -> str | None:
    found = re.search(rf"^# {word}: (.*)$", text, re.MULTILINE)
    return found.group(1) if found else None


def _report(path: Path) -> Report:
    text = path.read_text(encoding="utf-8")
    profile, tag = _said(text, "profile"), _said(text, "tag")
    assert profile is not None
    file = RuleFile(text, Conditions(profile=profile, interfaces={}))
    return lint(file, tag=None if tag is None else int(tag))


def test_there_are_twenty_of_each() -> None:
    assert len(FAULTY) >= 20
    assert len(CLEAN) >= 20


@pytest.mark.parametrize("path", FAULTY, ids=lambda path: path.stem)
def test_planted_faults_are_found_and_nothing_else(path: Path) -> None:
    wanted = sorted((_said(path.read_text(encoding="utf-8"), "finds") or "").split("; "))
    found = []
    for each in _report(path).found:
        by = ",".join(map(str, each.by))
        found.append(f"{each.kind} {each.rule}" + (f" by {by}" if by else ""))
    assert sorted(found) == wanted


@pytest.mark.parametrize("path", CLEAN, ids=lambda path: path.stem)
def test_nothing_is_found_in_clean_files(path: Path) -> None:
    assert [(each.kind, each.rule, each.reason) for each in _report(path).found] == []


@pytest.mark.parametrize("path", FAULTY, ids=lambda path: path.stem)
def test_packets_of_shadowed_and_redundant_rules_match_them_when_they_stand_alone(path: Path) -> None:
    """And in their place the first meet a rule that is named, the others the rule itself."""
    text = path.read_text(encoding="utf-8")
    profile = _said(text, "profile")
    assert profile is not None
    conditions = Conditions(profile=profile, interfaces={})
    whole = RuleFile(text, conditions)
    for each in _report(path).found:
        if each.kind not in (Kind.SHADOWED, Kind.REDUNDANT) or each.packet is None or each.line is None:
            continue
        met = each.by if each.kind is Kind.SHADOWED else (each.rule,)
        answer = tried(whole.reloaded(), each.packet)
        assert any(meets(answer, label) for label in met), (each.reason, each.packet.words)
        words = text.splitlines()[each.line - 1]
        if words.removeprefix("ipchains ").startswith(("-A input", "-A forward", "-A output")) or "add" in words:
            alone = RuleFile(words, conditions)
            label = re.sub(r":\d+", ":1", str(each.rule))
            assert meets(tried(alone.checker, each.packet), int(label) if label.isdigit() else label), each.packet.words
