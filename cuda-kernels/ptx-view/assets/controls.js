"use strict";
// The head of the page: where the warp is, its steps as bars and buttons, what a step does, and the lanes.

let now = 0;
let lane = 0;

const hover = byId("hover");
function hoverAt(event, ...content) {
  hover.replaceChildren(...content);
  hover.hidden = false;
  const { width, height } = hover.getBoundingClientRect();
  const left = Math.min(event.clientX + 14, innerWidth - width - 8);
  const top = event.clientY + 16 + height > innerHeight ? event.clientY - height - 12 : event.clientY + 16;
  hover.style.left = `${Math.max(4, left)}px`;
  hover.style.top = `${Math.max(4, top)}px`;
}
function onHover(target, content) {
  target.onpointermove = (event) => hoverAt(event, ...content());
  target.onpointerleave = () => (hover.hidden = true);
}

/** Pairs of names and values as a table, so many beside each other. */
function pairs(list, beside = 1) {
  const table = element("table");
  for (let at = 0; at < list.length; at += beside) {
    const cells = list.slice(at, at + beside).flat();
    table.append(element("tr", {}, ...cells.map((text) => element("td", {}, text))));
  }
  return table;
}

/** What colours mean. */
function samples(list) {
  return list.map(([background, text]) => {
    const sample = element("i");
    sample.style.background = background;
    return element("span", {}, sample, text);
  });
}

function head() {
  const size = (sides) => `(${sides.join(",")})`;
  const warps = Math.ceil(data.block.reduce((all, side) => all * side) / LANES);
  document.title = `${data.kernel}: a warp`;
  document.querySelector("h1").textContent = data.kernel;
  const args = params.map(({ name, value, at }) => `${name} = ${at ? `0x${at}` : value}`).join(", ");
  byId("where").textContent =
    `warp ${data.warp} of ${warps} in block ${data.inBlock}; grid ${size(data.grid)}, blocks of ${size(data.block)}; ${args}`;
  if (!finding) return;
  const where = isMine ? "in the last step of this record" : `in warp ${finding.number >> 5} of block ${finding.inBlock}, after the end of this record`;
  byId("finding").hidden = false;
  byId("finding").append(
    element("b", {}, `${finding.kind}: `),
    `${finding.detail} (line ${finding.line}, thread ${size(finding.thread)}, ${where})`,
  );
}

function jumpButtons() {
  const key = [["global", "global memory"], ["shared", "shared memory"], ["barrier", "barrier"]];
  byId("colours").append(...samples(key.map(([name, text]) => [`var(--${name})`, text])));
  for (const jump of JUMPS) {
    if (jump.at.length === 0 && jump.name === "finding") continue;
    const button = (text, title, by) => {
      const made = element("button", { title, "data-jump": jump.name, "data-by": by, disabled: jump.at.length ? undefined : "" }, text);
      made.onclick = () => leap(jump, by);
      return made;
    };
    document.querySelector(".jumps").append(element("span", {},
      button("\u2190", `The ${jump.name} before (Shift+${jump.key.toUpperCase()})`, -1),
      `${plural(jump.at.length, jump.name)}`,
      button("\u2192", `The next ${jump.name} (${jump.key.toUpperCase()})`, 1)));
  }
}

function leap(jump, by) {
  const to = by > 0 ? jump.at.find((at) => at > now) : jump.at.findLast((at) => at < now);
  if (to !== undefined) render(to);
}

function stepColour({ pc, access }) {
  if (access) return access.shared ? "shared" : "global";
  return code[pc].isBarrier ? "barrier" : "on";
}

/** A bar a step: as high as lanes run it, coloured by what it does. */
function timeline() {
  const canvas = byId("timeline");
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const scale = devicePixelRatio;
  [canvas.width, canvas.height] = [width * scale, height * scale];
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  const bar = width / steps.length;
  const bars = height - 7;
  steps.forEach((step, at) => {
    context.globalAlpha = stepColour(step) === "on" ? 0.35 : 0.9;
    context.fillStyle = colour(stepColour(step));
    const tall = Math.max(1, (bars * count(step.active)) / LANES);
    context.fillRect(at * bar, 7 + bars - tall, Math.max(bar - (bar > 3 ? 1 : 0), 0.6), tall);
  });
  context.globalAlpha = 1;
  context.fillStyle = colour("bad");
  for (const at of [...JUMPS[0].at, ...JUMPS[2].at]) {
    const x = (at + 0.5) * bar;
    context.beginPath();
    context.moveTo(x - 3.5, 0);
    context.lineTo(x + 3.5, 0);
    context.lineTo(x, 6);
    context.fill();
  }
  context.fillStyle = colour("ink");
  context.fillRect((now + 0.5) * bar - 1, 0, 2, height);
}

function sentence() {
  const { pc, live, here, active, access } = steps[now];
  const { line, jumps, isBarrier } = code[pc];
  const parts = [];
  if (jumps) {
    const rest = here & ~active;
    parts.push(active === 0 ? "no lane jumps" : `${words(active)} ${count(active) === 1 ? "jumps" : "jump"}`);
    if (active && rest) parts.push(`${words(rest)} ${count(rest) === 1 ? "goes" : "go"} on to the next line: the warp diverges`);
  } else {
    const whose = active === here ? "" : `; the guard keeps ${words(here & ~active)} from it`;
    parts.push(`${words(active)} ${count(active) === 1 ? "runs" : "run"} it${whose}`);
  }
  const waiting = live & ~here;
  if (waiting) parts.push(`${words(waiting)} ${count(waiting) === 1 ? "waits" : "wait"} elsewhere`);
  if (threads & ~live) parts.push(`${words(threads & ~live)} ended before`);
  if (isBarrier) parts.push("a barrier: the warp goes on when all of its block have come");
  if (access) parts.push(cost(access));
  if (isFault()) parts.push(`the sanitizer stops the launch here, at lane ${finding.number % LANES}`);
  byId("now").replaceChildren(
    element("code", {}, source(line)),
    element("p", {}, `${parts.join(". ")}.`.replace(/(^|\. )([a-z])/g, (_, before, letter) => before + letter.toUpperCase())),
  );
}

function cost(access) {
  const verb = access.writes ? "writes" : "reads";
  const start = `a lane ${verb} ${plural(access.bytes, "byte")} of ${access.shared ? "shared" : "global"} memory`;
  if (access.cost === null) return `${start}, at an address that is no multiple of the size`;
  if (access.shared) {
    return `${start}: ${access.cost === 1 ? "no two words of one bank, 1 cycle" : `${access.cost} cycles, for words of one bank come one after the other`}`;
  }
  const used = Math.min(touched(access).size * WORD, access.bytes * count(access.active));
  return `${start}: ${plural(access.cost, "transaction")} of 32 bytes, ${used} of ${SECTOR * access.cost} bytes are used`;
}

const LANE_STATES = [
  ["runs", "runs it"], ["guarded", "here, but does not run it"], ["waits", "waits elsewhere"], ["ended", "has ended"],
];
function laneState(lane, { live, here, active } = steps[now]) {
  if (has(active, lane)) return "runs";
  if (has(here, lane)) return "guarded";
  return has(live, lane) ? "waits" : "ended";
}

function makeLanes() {
  for (let each = 0; each < LANES; each++) {
    const button = element("button", { type: "button" }, String(each));
    button.onclick = () => choose(each);
    onHover(button, () => [element("b", {}, `lane ${each}, thread ${data.warp * LANES + each}: `), laneText(each)]);
    byId("lanes").append(button);
  }
  const colours = ["var(--on)", "var(--guard)", "var(--wait)", "none"];
  const key = element("p", { class: "key" });
  key.append(...samples(LANE_STATES.map(([, text], at) => [colours[at], text])));
  byId("lanes").append(key);
}

/** What a lane has in the registers of the instruction. */
function laneText(each) {
  const { pc, access } = steps[now];
  const named = LANE_STATES.find(([name]) => name === laneState(each))[1];
  const list = [...new Set([...code[pc].writes, ...code[pc].reads])]
    .filter((register) => state.registers.has(register))
    .map((register) => [data.registers[register][0], show(state.registers.get(register).values[each], data.registers[register][1])]);
  if (access && has(access.active, each)) {
    const at = row(access.at)[each];
    list.push(["address", access.shared ? `byte ${at} of shared memory, bank ${(at / 4n) % 32n}` : place(at)]);
  }
  return element("span", {}, named, pairs(list));
}

function lanes() {
  document.querySelectorAll("#lanes button").forEach((button, each) => {
    const fault = isFault() && each === finding.number % LANES;
    button.className = `${laneState(each)}${fault ? " fault" : ""}${each === lane ? " chosen" : ""}`;
  });
}

function choose(each) {
  lane = (each + LANES) % LANES;
  lanes();
  registers();
}
