"""A viewer on a phone: sees the clock in the picture, hears sound, chats, buys and pays; a host pins and starts."""

import json
import time
import uuid

import pytest

from tests.e2e import browser
from tests.e2e.conftest import Platform, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(300)]


def test_the_burned_in_clock_is_read_from_the_players_canvas(platform: Platform, chromium: str) -> None:
    with browser.page(chromium) as page:
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(platform.endpoints["viewer"])
        latency, video = wait_for(lambda: browser.read_clock(page), seconds=40)
        assert 0 < latency < 15_000
        assert wait_for(lambda: (browser.read_clock(page) or (0, {"audio": 0}))[1]["audio"] > 0)
        first = video["frames"]
        time.sleep(2)
        assert (browser.read_clock(page) or (0, {"frames": 0}))[1]["frames"] > first
        assert errors == []


SALE = {
    "apiVersion": "haat.dev/v1alpha1",
    "kind": "FlashSale",
    "metadata": {"name": "evening", "namespace": "shop"},
}


def apply_sale(platform: Platform, *, starts_in: float, stock: int) -> None:
    def rfc3339(seconds: float) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

    now = time.time()
    spec = {
        "stream": {"name": "launch"},
        "startsAt": rfc3339(now + starts_in),
        "endsAt": rfc3339(now + 1800),
        "items": [
            {
                "sku": "KANTHA-THROW",
                "title": "Nakshi kantha throw",
                "price": {"amount": 200000, "currency": "BDT"},
                "stock": stock,
            }
        ],
    }
    platform.kubectl("-n", "shop", "delete", "flashsale", "--all", "--timeout=60s")
    platform.kubectl("apply", "-f", "-", stdin=json.dumps(SALE | {"spec": spec}))


@pytest.mark.usefixtures("needs_kubectl")
def test_countdown_buy_pay_and_sold_out(platform: Platform, chromium: str) -> None:
    apply_sale(platform, starts_in=25, stock=1)
    with browser.page(chromium) as page:
        page.goto(platform.endpoints["viewer"])
        page.get_by_test_id("sale-countdown").first.wait_for(timeout=20_000)
        button = page.get_by_test_id("buy-button").first
        wait_for(lambda: button.is_visible() and button.is_enabled(), seconds=60)
        button.click()
        page.get_by_test_id("pay-button").wait_for(timeout=20_000)
        page.get_by_test_id("pay-button").click()
        wait_for(lambda: page.get_by_test_id("order-state").first.get_attribute("data-state") == "paid", seconds=20)

    def sold() -> bool:
        stock = (platform.get("flashsale", "evening").get("status") or {}).get("stock") or {}
        return (stock.get("sold"), stock.get("remaining", 0)) == (1, 0)

    wait_for(sold, seconds=20)
    platform.kubectl("-n", "shop", "wait", "fsale/evening", "--for=jsonpath={.status.phase}=SoldOut", "--timeout=20s")


def test_chat_reaches_another_screen_and_the_host_pins(platform: Platform, chromium: str) -> None:
    text = f"is there a green one? {uuid.uuid4().hex[:6]}"
    with browser.page(chromium) as viewer:
        viewer.goto(platform.endpoints["viewer"])
        viewer.get_by_test_id("chat-input").fill(text)
        viewer.get_by_test_id("chat-input").press("Enter")
        viewer.get_by_test_id("name-input").fill("Rina")
        viewer.get_by_test_id("name-input").press("Enter")
        viewer.get_by_text(text).first.wait_for()
        context = viewer.context.browser.new_context(viewport=browser.DESKTOP)  # type: ignore[union-attr]
        studio = context.new_page()
        studio.goto(platform.endpoints["studio"])
        studio.get_by_text(text).first.wait_for(timeout=20_000)
        assert "token=" not in studio.url
        studio.get_by_test_id("pin-SAREE-TEAL").click()
        viewer.get_by_test_id("pin-card").first.wait_for(timeout=10_000)


def test_a_killed_transcoder_comes_back_under_the_same_url(platform: Platform, chromium: str) -> None:
    with browser.page(chromium) as page:
        page.goto(platform.endpoints["viewer"])
        wait_for(lambda: browser.read_clock(page), seconds=40)
        assert platform.kill("workloads.transcoder") >= 1
        time.sleep(3)
        wait_for(lambda: (browser.read_clock(page) or (10**9, {}))[0] < 8000, seconds=40)
