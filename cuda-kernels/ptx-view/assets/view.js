"use strict";
// The page of a warp that was recorded: one step at a time.

function render(target) {
  now = Math.max(0, Math.min(target, steps.length - 1));
  go(now);
  byId("slider").value = now;
  const more = data.isCut && now === steps.length - 1 ? " (the record is cut here)" : "";
  byId("step").textContent = `step ${now + 1} of ${steps.length}${more}`;
  sentence();
  lanes();
  markCode();
  registers();
  globalMemory();
  sharedMemory();
  timeline();
}

const MOVES = { first: () => 0, back: () => now - 1, on: () => now + 1, last: () => steps.length - 1 };

function theme(name) {
  document.documentElement.dataset.theme = name;
  byId("theme").textContent = name === "dark" ? "light" : "dark";
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const by = event.shiftKey ? 10 : 1;
  const jump = JUMPS.find(({ key }) => key === event.key.toLowerCase());
  const action = {
    ArrowLeft: () => render(now - by), ArrowRight: () => render(now + by),
    ArrowUp: () => choose(lane - 1), ArrowDown: () => choose(lane + 1),
    Home: () => render(0), End: () => render(steps.length - 1),
  }[event.key] ?? (jump && (() => leap(jump, event.shiftKey ? -1 : 1)));
  if (!action) return;
  event.preventDefault();
  action();
}

let onScreen;
addEventListener("beforeprint", () => {
  onScreen = document.documentElement.dataset.theme;
  theme("light");
  render(now);
});
addEventListener("afterprint", () => {
  theme(onScreen);
  render(now);
});

function start() {
  theme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  head();
  if (steps.length === 0) {
    byId("controls").hidden = true;
    document.querySelector("main").replaceChildren(byId("finding"), "This warp ran nothing before the launch stopped.");
    return;
  }
  restart();
  makeLanes();
  makeCode();
  makeShared();
  jumpButtons();
  byId("slider").max = steps.length - 1;
  byId("slider").oninput = (event) => render(Number(event.target.value));
  byId("timeline").onclick = (event) => render(Math.floor((event.offsetX / byId("timeline").clientWidth) * steps.length));
  document.querySelectorAll("[data-to]").forEach((button) => (button.onclick = () => render(MOVES[button.dataset.to]())));
  document.addEventListener("keydown", keys);
  addEventListener("resize", () => render(now));
  byId("theme").onclick = () => {
    theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    render(now);
  };
  render(0);
}

start();
