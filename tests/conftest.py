"""Fixtures of all rings. One Ray and one cache of models serve the whole test session."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest


def pytest_configure(config: pytest.Config) -> None:
    # Small towers on two cores: more threads only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def ray_local() -> Iterator[None]:
    """A local Ray, as `jobs/` start it, whose warm workers serve all tests."""
    import ray

    from gist_ray.run.cluster import connect
    from gist_ray.run.warm import warm_workers

    connect()
    with warm_workers():
        yield
    ray.shutdown()


@pytest.fixture
def rows_inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps over rows run in the test's own process, without Ray, and see what it holds."""

    class Inline:
        def call(self, function: Callable[..., Any], *args: Any) -> Any:
            return function(*args)

    @contextmanager
    def inline_worker(**_: Any) -> Iterator[Inline]:
        yield Inline()

    monkeypatch.setattr("gist_ray.run.warm_rows.warm_worker", inline_worker)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of a server that speaks S3, a process of its own on a free loopback port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        # It listens seconds before it has loaded what answers.
        for _ in range(600):
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60).read()
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


def s3_environment(endpoint: str) -> dict[str, str]:
    """What a process needs to take `endpoint` for S3. There is no S3 of the user's in it."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


BROWSER_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A headless Chromium of the machine's own, driven by Selenium."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for option in (*BROWSER_OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # With the driver's own path, Selenium looks for none on the network.
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def open_page(chromium: Any) -> Callable[..., Any]:
    """Call with a file and a width: the browser that shows it, once what must hold of every page
    does."""

    def opened(file: Path, width: int = 1280) -> Any:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        chromium.get(file.as_uri())
        assert chromium.get_log("browser") == []
        unloaded = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
        asked = "performance.getEntriesByType('resource').map(e => e.name.slice(0, 80))"
        drawings = "[...document.querySelectorAll('figure svg')]"
        flat = f"{drawings}.filter(drawing => drawing.clientHeight < 40).length"
        assert chromium.execute_script(f"return {unloaded}") == 0
        assert [n for n in chromium.execute_script(f"return {asked}") if n[:5] != "data:"] == []
        assert chromium.execute_script(f"return {flat}") == 0
        # nothing but tables, which scroll by themselves, is wider than the window
        assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
        return chromium

    return opened
