"""The trace page in a real browser: what a person sees and does there, wide and narrow."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from simulator.cli.run import run

webdriver: Any = pytest.importorskip("selenium.webdriver")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium and chromedriver on this machine")

SCRIPT = """\
# A lesson with <b>tags</b> & signs.
router freebsd-13
interface em0 192.168.1.1/24
interface em1 10.0.0.1/24
ipfw add 100 divert 8668 ip from any to any in
ipfw add 200 count icmp from any to any
ipfw add 300 deny udp from any to any 53 // "</script>"
ipfw add 400 allow ip from any to any
case "put back"
    program 8668 passthrough
    em0 receives icmp from 192.168.1.2 to 10.0.0.2
    expect em1 sends any
case "denied"
    ipfw delete 100
    em0 receives udp from 192.168.1.2 to 10.0.0.2 53
    expect dropped DENIED
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync"):
        options.add_argument(f"--{word}")
    for word in ("disable-background-networking", "disable-component-update", "disable-dev-shm-usage"):
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    (folder / "lesson.scn").write_text(SCRIPT)
    result = CliRunner().invoke(run, [str(folder / "lesson.scn"), "--html", str(folder / "page.html")])
    assert result.exit_code == 0, result.output
    return folder / "page.html"


def size(browser: Any, width: int, height: int) -> None:
    """The size of the page itself; a window cannot be as narrow as a telephone."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


@pytest.fixture(params=[1280, 400])
def opened(browser: Any, page: Path, request: pytest.FixtureRequest) -> Any:
    size(browser, request.param, 900)
    browser.get("about:blank")
    browser.get(page.as_uri())
    return browser


def text(browser: Any, css: str) -> str:
    return str(browser.find_element("css selector", css).text)


def press(browser: Any, key: str) -> None:
    browser.find_element("css selector", "body").send_keys(key)


RIGHT, LEFT, END, HOME = "\ue014", "\ue012", "\ue010", "\ue011"


def test_it_opens_without_a_complaint_and_without_a_network(opened: Any, page: Path) -> None:
    assert text(opened, "#title") == "lesson.scn"
    assert text(opened, "#description") == "A lesson with <b>tags</b> & signs."
    assert opened.get_log("browser") == []
    assert "http" not in page.read_text().replace("http://www.w3.org/2000/svg", "")
    requested = opened.execute_script("return performance.getEntriesByType('resource').length")
    assert requested == 0


def test_nothing_is_wider_than_the_page(opened: Any) -> None:
    for _ in range(4):
        wide, there = opened.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
        assert wide <= there
        press(opened, RIGHT)


@pytest.mark.parametrize("width", [1280, 400])
def test_a_long_title_is_no_wider_than_the_page(browser: Any, tmp_path: Path, width: int) -> None:
    title = "put back " * 30
    (tmp_path / "long.scn").write_text(SCRIPT.replace("put back", title.strip()))
    result = CliRunner().invoke(run, [str(tmp_path / "long.scn"), "--html", str(tmp_path / "long.html")])
    assert result.exit_code == 0, result.output
    size(browser, width, 900)
    browser.get((tmp_path / "long.html").as_uri())
    wide, there = browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide <= there == width


def test_the_keys_move_the_packet_from_stage_to_stage(opened: Any) -> None:
    def stage() -> str:
        return str(opened.find_element("css selector", ".box.now").get_attribute("data-stage"))

    seen = [stage()]
    for _ in range(5):
        press(opened, RIGHT)
        seen.append(stage())
    assert seen == ["wire-in", "in", "program", "program", "in", "routing"]
    press(opened, LEFT)
    assert stage() == "in"
    press(opened, END)
    assert stage() == "wire-out"
    assert "left by em1" in text(opened, "#fate")
    press(opened, HOME)
    assert stage() == "wire-in"


def test_the_buttons_do_the_same(opened: Any) -> None:
    opened.find_element("id", "next").click()
    assert text(opened, "#count") == "2 of 8"
    opened.find_element("id", "back").click()
    assert text(opened, "#count") == "1 of 8"
    assert not opened.find_element("id", "back").is_enabled()
    opened.find_element("id", "last").click()
    assert not opened.find_element("id", "next").is_enabled()


def test_the_rule_that_decides_is_marked(opened: Any) -> None:
    press(opened, RIGHT)
    assert text(opened, "#rules .decides") == "100\ndivert 8668 ip from any to any in"
    for _ in range(3):
        press(opened, RIGHT)
    assert text(opened, "#rules .decides") == "400\nallow ip from any to any"
    assert text(opened, "#rules .matched") == "200\ncount icmp from any to any"


def test_changed_fields_are_marked(opened: Any) -> None:
    changed: dict[str, str] = {}
    for _ in range(7):
        press(opened, RIGHT)
        for row in opened.find_elements("css selector", "#fields tr.changed"):
            name, _, values = row.text.partition(" ")
            changed[name] = values
    assert changed["ip.ttl"] == "64 \u2192 63"
    assert set(changed) == {"ip.ttl", "ip.chksum"}


def test_the_queue_tells_what_the_program_did(opened: Any) -> None:
    assert text(opened, "#queue") == "empty"
    press(opened, RIGHT + RIGHT)
    assert text(opened, "#queue").endswith("not written back")
    press(opened, RIGHT)
    assert text(opened, "#queue").endswith("written back as packet 2")


def test_the_other_case_has_its_own_rules(opened: Any, page: Path) -> None:
    opened.get(page.as_uri() + "#2.2")
    opened.refresh()
    assert text(opened, "#rules .decides").startswith("300\ndeny udp from any to any 53")
    assert "100" not in [each.text.split("\n")[0] for each in opened.find_elements("css selector", "#rules li")]
    press(opened, END)
    assert "denied by the firewall" in text(opened, "#fate.dropped")


def test_a_packet_of_the_list_leads_to_its_first_step(opened: Any) -> None:
    opened.find_elements("css selector", "#packets button")[1].click()
    assert text(opened, "#said").startswith("injected")


def test_play_goes_on_by_itself_and_stops(opened: Any) -> None:
    opened.execute_script("go(6)")
    press(opened, " ")
    assert text(opened, "#play") == "Stop"
    for _ in range(50):
        if text(opened, "#play") == "Play":
            break
        opened.execute_async_script("setTimeout(arguments[0], 100)")
    assert text(opened, "#count") == "8 of 8"
