"""The Prefect UI as a person uses it: forms, runs and artifacts, in a real Chromium."""

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.prefect_site import ENDED
from tests.servers import missing

# No sandbox: the tests may run as root in a container. Nothing calls home.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREENSHOTS = Path(__file__).parents[1] / "build" / "screenshots"
PATIENCE = 60_000  # milliseconds
_TALLEST = 4_000
_PRESSES = 5
_END_SECONDS = 180.0  # a busy machine takes its time to begin a run


@contextmanager
def browser_page() -> Iterator[Page]:
    """Open a page in Debian's Chromium; skip or fail the test without one."""
    program = shutil.which("chromium")
    if program is None:
        missing("chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=FLAGS)
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        try:
            yield page
        finally:
            chromium.close()


@dataclass
class PrefectUi:
    """The UI of a server; each thing that is done is kept as a numbered screenshot under `name`."""

    page: Page
    url: str
    name: str
    _shots: int = field(default=0)
    _run: str = field(default="")

    def open_form(self, deployment: str) -> None:
        """Go the way from the list of deployments to the form."""
        self.page.goto(f"{self.url}/v2/deployments?limit=100")
        self.page.get_by_role("link", name=deployment, exact=True).first.click()
        self.page.get_by_role("tab", name="Description").click()
        expect(self.page.get_by_role("tabpanel", name="Description").locator("strong").first).to_be_visible()
        self.shoot("deployment")
        self.page.get_by_role("button", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Custom run").click()
        self.field("Queue").wait_for()

    def block(self, title: str) -> Locator:
        """Find a field of the form by its title, with what stands around it."""
        exact = re.compile(rf"^{re.escape(title)}( \(Optional\))?$")
        return self.page.locator("div.group").filter(has=self.page.locator("label", has_text=exact))

    def field(self, title: str) -> Locator:
        """Find what a field is filled in with."""
        return self.block(title).locator("fieldset")

    def choose(self, title: str, option: str) -> None:
        """Pick from a list."""
        self.field(title).get_by_role("button").click()
        self.page.get_by_role("option", name=option, exact=True).click()

    def fill(self, title: str, text: str) -> None:
        """Type into a field."""
        self.field(title).locator("input, textarea").first.fill(text)

    def add(self, title: str, text: str) -> None:
        """Add an item to a list and type it."""
        self.field(title).get_by_role("button", name="Add item").click()
        self.field(title).locator("textarea").last.fill(text)

    def submit(self) -> None:
        """Press the button."""
        self.page.get_by_role("button", name="Submit").click()

    def launch(self, end: str = "COMPLETED", shown: str = "") -> None:
        """Press the button, wait until the new run has ended, and show its page as it is then.

        The server is asked, not the page: its first "Completed" may be a task's, and it does not load artifacts anew.
        """
        run = self._created()
        self._run = f"{self.url}/v2/runs/flow-run/{run}"
        self.page.goto(self._run)
        self.await_state(end, shown)

    def await_state(self, end: str = "COMPLETED", shown: str = "", after: str = "") -> str:
        """Wait until the run is in a state other than `after`, show its page as it is then, and give the state's id."""
        state = self._end_of(self._run.rpartition("/")[2], end, after)
        assert state["type"] == end, f"{self._run} ended as {state['type']}, not {end}: {state['message']}"
        self.page.reload()
        self.page.wait_for_url(re.compile("/runs/flow-run/"))
        expect(self.page.get_by_text(shown or end.capitalize(), exact=True).first).to_be_visible()
        return str(state["id"])

    def open_answer(self) -> Locator:
        """Open the form of a run that waits for a person."""
        self.page.get_by_role("main").get_by_role("button", name="Open menu").first.click()
        self.page.get_by_role("menuitem", name="Resume").click()
        self.field("Answer").wait_for()
        return self.page.get_by_role("dialog")

    def answer(self) -> str:
        """Press the form's button, and give what the page says about it."""
        notes = self.page.locator("[data-sonner-toast]")
        with self.page.expect_response(re.compile("/resume$")) as answered:
            self.page.get_by_role("dialog").get_by_role("button", name="Resume").click()
        said = answered.value.json()
        reason = (said.get("details") or {}).get("reason") or "Flow run resumed"
        expect(notes.filter(has_text=reason).first).to_be_visible()
        return str(reason)

    def _created(self) -> str:
        """Press the button until a run is made: a busy server refuses, and the note about the run soon vanishes."""
        for _ in range(_PRESSES):
            with self.page.expect_response(re.compile("/create_flow_run$")) as answered:
                self.submit()
            if answered.value.ok:
                return str(answered.value.json()["id"])
        raise AssertionError(f"no run was made: {answered.value.status} {answered.value.text()}")

    def _end_of(self, run: str, end: str, after: str) -> dict[str, Any]:
        """Wait for the last state of a run, or for the type of state that is expected."""
        deadline = time.monotonic() + _END_SECONDS
        while True:
            state: dict[str, Any] = self.page.request.get(f"{self.url}/api/flow_runs/{run}").json()["state"]
            if state["type"] in ENDED | {end} and state["id"] != after:
                return state
            assert time.monotonic() < deadline, f"run {run} is {state['type']} after {_END_SECONDS:.0f} s"
            time.sleep(0.2)

    def open_tab(self, name: str) -> None:
        """Show a tab of a run."""
        self.page.get_by_role("tab", name=name, exact=True).click()

    def open_artifact(self, key: str) -> None:
        """Open an artifact of the run that was launched."""
        self.page.goto(f"{self._run}?tab=Artifacts")
        self.page.get_by_role("link", name=re.compile(rf"^(table|markdown)\s*{re.escape(key)}", re.IGNORECASE)).click()
        self.page.get_by_role("link", name=re.compile(r"^[0-9a-f]{8}$")).first.click()
        self.page.get_by_role("tab", name="Raw").wait_for()

    def shoot(self, what: str) -> None:
        """Keep the whole page as it is, as tall as it is."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self._shots += 1
        tall = self.page.evaluate("Math.max(...[...document.querySelectorAll('*')].map(e => e.scrollHeight))")
        self.page.set_viewport_size({"width": 1280, "height": max(900, min(tall, _TALLEST))})
        self.page.screenshot(path=SCREENSHOTS / f"{self.name}-{self._shots}-{what}.png")
        self.page.set_viewport_size({"width": 1280, "height": 900})
