#!/usr/bin/env python3
"""Opens pages in Chromium, checks them and takes screenshots.

    pip install -r tools/requirements-look.txt; apt install chromium
    tools/look.py report PAGE.html OUT.png       a report (carp report): charts, hover, both themes
    tools/look.py view PAGE.html OUT.png         a warp (carp ptx view): steps, lanes, registers, both themes
    tools/look.py playground OUT.png             docs/playground.html: both collapses, and none

Screenshots of the first two are OUT-light.png and OUT-dark.png. Exits with 1 at the first fault.
"""

import pathlib
import sys
import time

from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).resolve().parent.parent
SECONDS = 2  # for a report to open


def opened(browser, path, scheme="light"):
    """A page, the seconds it took to open, and its list of faults."""
    page = browser.new_page(color_scheme=scheme, viewport={"width": 1280, "height": 900})
    faults = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(("file:", "data:")) else faults.append(request.url))
    start = time.perf_counter()
    page.goto(pathlib.Path(path).resolve().as_uri(), wait_until="load")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page, time.perf_counter() - start, faults


def check(holds, what):
    print(("ok     " if holds else "FAULT  ") + what)
    if not holds:
        sys.exit(1)


def report(browser, path, out):
    stem = out.removesuffix(".png")
    for scheme in ["light", "dark"]:
        page, seconds, faults = opened(browser, path, scheme)
        check(seconds < SECONDS, f"{scheme}: opened in {seconds:.2f} s, {pathlib.Path(path).stat().st_size} bytes")
        charts = page.locator(".uplot")
        check(charts.count() >= 5, f"{charts.count()} charts")
        check(page.evaluate("document.documentElement.dataset.theme") == scheme, f"the theme is {scheme}")
        charts.first.locator(".u-over").hover()
        value = charts.first.locator(".u-value").nth(1).inner_text()
        check(any(digit.isdigit() for digit in value), f"hover over the loss shows {value!r}")
        for name, target in [("memory map", ".map rect >> nth=40"), ("feature map", ".points circle >> nth=5"), ("prototypes", ".bars rect >> nth=0")]:
            if page.locator(target).count():
                page.locator(target).hover(force=True)
                text = page.locator("#hover").inner_text()
                check(page.locator("#hover").is_visible() and text, f"hover over the {name} shows {text!r}")
        several(page)
        page.mouse.move(0, 0)
        page.screenshot(path=f"{stem}-{scheme}.png", full_page=True)
        page.set_viewport_size({"width": 480, "height": 900})
        page.wait_for_timeout(300)
        wide = page.evaluate("document.documentElement.scrollWidth")
        check(wide <= 480, f"480 pixels are enough ({wide})")
        fit = page.evaluate("charts.filter((plot) => plot.width <= plot.root.parentElement.clientWidth).length")
        check(fit == charts.count(), f"{fit} charts fit their cards")
        page.screenshot(path=f"{stem}-{scheme}-narrow.png", full_page=True)
        page.locator("#theme").click()
        check(page.evaluate("document.documentElement.dataset.theme") != scheme, "the switch changes the theme")
        check(not faults, f"no errors, nothing from elsewhere {faults}")


def several(page):
    """Runs side by side: each in every table and chart that it has numbers for."""
    runs = page.evaluate("runs.map(({ name, method, metrics }) => ({ name, method, columns: Object.keys(metrics.steps) }))")
    if len(runs) == 1:
        return
    check(page.locator("#summary thead .dot").count() == len(runs), f"{len(runs)} runs in the summary")
    titles = page.locator("#training h3").all_inner_texts()
    methods = {run["method"] for run in runs}
    check(sum(title.startswith("Loss") for title in titles) == len(methods), f"a chart of the loss for each of {sorted(methods)}")
    for title, name in [("Entropy term", "entropy"), ("Learning rate", "lr"), ("Images per second", "images_per_second"), ("Prototypes in use", "prototypes_in_use")]:
        want = [run["name"] for run in runs if name in run["columns"]]
        if want:
            labels = page.evaluate("(at) => charts[at].series.slice(1).map(({ label }) => label)", titles.index(title))
            check(labels == want, f"{title}: {labels}")
    tops = page.evaluate("[...document.querySelectorAll('#features .card')].map((card) => card.getBoundingClientRect().top)")
    check(len(tops) != 3 or len(set(tops)) == 1, f"{len(tops)} maps of features, in {len(set(tops))} rows")
    check(page.locator("#settings mark").count() > 0, f"{page.locator('#settings mark').count()} settings are marked as different")


def view(browser, path, out):
    stem = out.removesuffix(".png")
    for scheme in ["light", "dark"]:
        page, seconds, faults = opened(browser, path, scheme)
        check(seconds < SECONDS, f"{scheme}: opened in {seconds:.2f} s, {pathlib.Path(path).stat().st_size} bytes")
        steps = page.evaluate("steps")
        code = page.evaluate("code")
        at = lambda: int(page.locator("#slider").input_value())
        lanes = lambda: [page.locator(f"#lanes button >> nth={lane}").get_attribute("class").split()[0] for lane in range(32)]

        def matches(step):
            """Do lanes, PTX and registers show the step?"""
            bit = lambda name, lane: steps[step][name] >> lane & 1
            want = ["runs" if bit("active", i) else "guarded" if bit("here", i) else "waits" if bit("live", i) else "ended" for i in range(32)]
            line = page.locator("#ptx .current b").inner_text()
            written = page.locator("#registers .written").count()
            return lanes() == want and int(line) == code[steps[step]["pc"]]["line"] and written == len(steps[step].get("results", []))

        def walk(keys, want):
            for key in keys:
                page.keyboard.press(key)
            check(at() == want and matches(want), f"{' '.join(keys)}: step {at() + 1}, {lanes().count('runs')} lanes run it")

        last = len(steps) - 1
        check(matches(0), f"step 1 of {len(steps)}")
        walk(["ArrowRight"], min(1, last))
        walk(["ArrowRight"] * 4 + ["ArrowLeft"], min(4, last))
        walk(["End"], last)
        walk(["Home"], 0)
        page.locator("#slider").fill(str(last // 2))
        check(matches(last // 2), f"the slider: step {last // 2 + 1}")
        page.locator("[data-to=on]").click()
        check(at() == last // 2 + 1 and matches(at()), f"a button: step {at() + 1}")
        for name, key, holds in [
            ("divergence", "d", lambda step: code[step["pc"]]["jumps"] and 0 != step["active"] != step["here"]),
            ("barrier", "b", lambda step: code[step["pc"]]["isBarrier"]),
        ]:
            page.keyboard.press("Home")
            for want in [i for i, step in enumerate(steps) if holds(step) and i > 0][:3]:
                walk([key], want)
                print(f"       a {name}: {page.locator('#now p').inner_text()}")
        page.locator("#slider").fill(str(next((i for i, step in enumerate(steps) if step.get("access", {}).get("shared") and i > last // 3), last // 2)))
        page.locator("#lanes button >> nth=5").hover()
        check("thread" in page.locator("#hover").inner_text(), f"hover over lane 5 shows {page.locator('#hover').inner_text()!r}")
        page.locator("#lanes button >> nth=5").click()
        check(page.locator("#registers th >> nth=2").inner_text() == "lane 5", "a click keeps the lane")
        page.locator("#registers tr >> nth=1").hover()
        check("written in step" in page.locator("#hover").inner_text(), "hover over a register shows all lanes")
        if page.locator("#shared canvas").count():
            page.locator("#shared canvas").hover(position={"x": 80, "y": 27})
            check("bank 0" in page.locator("#hover").inner_text() or "bank 1" in page.locator("#hover").inner_text(), f"hover over shared memory shows {page.locator('#hover').inner_text()!r}")
        page.mouse.move(0, 0)
        page.screenshot(path=f"{stem}-{scheme}.png", full_page=True)
        page.set_viewport_size({"width": 480, "height": 900})
        wide = page.evaluate("document.documentElement.scrollWidth")
        check(wide <= 480, f"480 pixels are enough ({wide})")
        page.screenshot(path=f"{stem}-{scheme}-narrow.png", full_page=True)
        page.locator("#theme").click()
        check(page.evaluate("document.documentElement.dataset.theme") != scheme, "the switch changes the theme")
        check(not faults, f"no errors, nothing from elsewhere {faults}")


def playground(browser, out):
    page, _, faults = opened(browser, ROOT / "docs/playground.html")
    # docs/method.md, section 4.
    terms = page.evaluate("""() => {
        const w = [[.6, .8], [1, 0], [0, 1], [-.8, .6]];
        const rows = (...all) => all.map((z) => [logits(z, w, 1)]);
        const { consistency, entropy } = carpLoss(rows([1, 2], [2, 0]), rows([0, 1], [1, 1]), [[2, 0], [3, 1]]);
        return [consistency.toFixed(4), entropy.toFixed(4)];
    }""")
    check(terms == ["0.7464", "0.0437"], f"the step by hand has C and H {terms}")
    states = page.evaluate("""() => {
        const plain = { entropy: true, block: 4, momentum: 0.9, temperature: 1, noise: 0.15 };
        return [{}, { entropy: false }, { temperature: 1000 }].map((changed) => [1, 2, 3].map((seed) => {
            const run = new Run(seed);
            for (let i = 0; i < 600; i++) run.step({ ...plain, ...changed });
            return [run.state(4).split(":")[0], run.history.at(-1)[0].toFixed(3)];
        }));
    }""")
    for seeds, want in zip(states, ["", "one-hot collapse", "uniform collapse"]):
        check(all(state == want for state, _ in seeds), f"{want or 'no collapse'}: {seeds} (ln 4 = 1.386)")
    page.wait_for_timeout(2500)
    page.screenshot(path=out, full_page=True)
    page.locator("#entropy").uncheck()
    page.locator("#restart").click()
    page.wait_for_function("byId('state').textContent.startsWith('one-hot')", timeout=60_000)
    check(True, "with the entropy term off, the page comes to a one-hot collapse")
    check(not faults, f"no errors, nothing from elsewhere {faults}")


def main():
    what, *rest = sys.argv[1:]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        {"report": report, "view": view, "playground": playground}[what](browser, *rest)
        browser.close()


if __name__ == "__main__":
    main()
