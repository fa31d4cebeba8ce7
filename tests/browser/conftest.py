"""Debian's chromium, driven by Playwright: `make test-browser` installs it and runs what is here."""

import shutil
import time

import pytest

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(__file__.removesuffix("/conftest.py")):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    assert program, "no chromium; `make test-browser` installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])  # root has none
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """A page that has to get along without errors and without any other server; `page.asked` are the addresses."""
    page = browser.new_page(viewport={"width": 1400, "height": 1200})
    wrong, page.asked = [], []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: page.asked.append(request.url))
    yield page
    page.close()
    assert not wrong
    assert not [url for url in page.asked if not url.startswith(("file:", "data:", "blob:", "http://127.0.0.1:"))]


@pytest.fixture(scope="session")
def until():
    """A function that waits until a script on a page is true; Playwright's own needs what our pages forbid (eval)."""

    def wait(page, script, seconds=30):
        end = time.monotonic() + seconds
        while not page.evaluate(script):
            assert time.monotonic() < end, f"not within {seconds} s: {script}"
            page.wait_for_timeout(50)

    return wait
