"use strict";

const LANES = 32;
const WORD = 4;
const SECTOR = 32;
const data = JSON.parse(document.getElementById("data").textContent);
const { code, steps } = data;

// ---- Small things -------------------------------------------------------------------------------

const byId = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const has = (mask, lane) => (mask >>> lane) & 1;
const lanesOf = (mask) => [...Array(LANES).keys()].filter((lane) => has(mask, lane));
const count = (mask) => lanesOf(mask).length;
const plural = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

/** A row as the data hold it: `7`, `a+4` or `1 2 4`, in base 16. */
function row(text, length = LANES) {
  const number = (part) => BigInt(`0x${part}`);
  if (text.includes(" ")) return text.split(" ").map(number);
  const [first, step] = text.split("+").map(number);
  return Array.from({ length }, (_, at) => BigInt.asUintN(64, first + BigInt(at) * (step ?? 0n)));
}

/** Lanes in few words. */
function words(mask) {
  const lanes = lanesOf(mask);
  const [first, last] = [lanes[0], lanes.at(-1)];
  if (lanes.length === LANES) return "all 32 lanes";
  if (lanes.length === 0) return "no lane";
  if (lanes.length === 1) return `lane ${first}`;
  if (last - first + 1 === lanes.length) return `lanes ${first} to ${last}`;
  return lanes.length <= 8 ? `lanes ${lanes.join(", ")}` : `${lanes.length} lanes`;
}

const view = new DataView(new ArrayBuffer(8));

/** The bits of a register as a number. */
function numeric(bits, type) {
  view.setBigUint64(0, bits);
  if (type === "f32" || type === "tf32") return view.getFloat32(4);
  if (type === "f64") return view.getFloat64(0);
  if (type === "pred") return Number(bits);
  const width = Number(/\d+/.exec(type)[0]);
  // Small negative numbers are more likely than large ones.
  const signed = BigInt.asIntN(width, bits);
  return Number(type[0] === "s" || (width > 16 && signed > -65536n) ? signed : bits);
}

/** The bits of a register in words. */
function show(bits, type) {
  if (type === "pred") return bits ? "true" : "false";
  const number = numeric(bits, type);
  if (type === "f32" || type === "tf32") return String(Number(number.toPrecision(7)));
  if (type === "f64") return String(number);
  const isText = /^[bu](16|8)$|x2$|^(f16|bf16|e\dm\d)/.test(type) && bits > 0xffn;
  return isText || Math.abs(number) > 1 << 24 ? `0x${bits.toString(16)}` : String(number);
}

const pointers = data.params
  .filter((param) => param.at && BigInt(`0x${param.at}`) > 0xffffffffn)
  .map((param) => ({ name: param.name, at: BigInt(`0x${param.at}`) }))
  .sort((a, b) => (a.at < b.at ? 1 : -1));

/** The parameter before an address of global memory. */
const pointerOf = (at) => pointers.find((pointer) => pointer.at <= at) ?? { name: "address 0", at: 0n };

/** An address of global memory, counted from the parameter before it. */
function place(at) {
  const pointer = pointerOf(at);
  return `${pointer.name} + ${at - pointer.at}`;
}

function source(line) {
  return (data.ptx.lines[line - data.ptx.first] ?? "").trim().replace(/\s+/g, " ");
}

// ---- What the recording says --------------------------------------------------------------------

const threads = steps[0]?.live ?? 0;
const finding = data.finding && {
  ...data.finding,
  number: data.finding.thread[0] + data.block[0] * (data.finding.thread[1] + data.block[1] * data.finding.thread[2]),
  inBlock: data.finding.block[0] + data.grid[0] * (data.finding.block[1] + data.grid[1] * data.finding.block[2]),
};
const isMine = finding && finding.inBlock === data.inBlock && finding.number >> 5 === data.warp;

const isDivergence = ({ pc, here, active }) => code[pc].jumps && active !== 0 && active !== here;
const JUMPS = [
  { name: "divergence", key: "d", holds: isDivergence },
  { name: "barrier", key: "b", holds: ({ pc }) => code[pc].isBarrier },
  { name: "finding", key: "f", holds: (step) => isMine && step === steps.at(-1) },
];
for (const jump of JUMPS) jump.at = steps.flatMap((step, index) => (jump.holds(step) ? [index] : []));

/** Does the step that is shown have the finding? */
const isFault = () => isMine && now === steps.length - 1;

/** The words that an access touches: for each, the lanes. */
function touched({ at, bytes, active }) {
  const found = new Map();
  const addresses = row(at);
  for (const lane of lanesOf(active)) {
    const first = addresses[lane] / BigInt(WORD);
    const end = (addresses[lane] + BigInt(bytes) + BigInt(WORD - 1)) / BigInt(WORD);
    for (let word = first; word < end; word++) {
      if (!found.has(word)) found.set(word, []);
      found.get(word).push(lane);
    }
  }
  return found;
}

// ---- The state after a step ---------------------------------------------------------------------

const NEVER = -2;
const COPY = -1;
const memoryWords = Math.ceil(data.sharedBytes / WORD);
const state = { at: -1, registers: new Map(), shared: [], barriers: 0 };

function restart() {
  state.at = -1;
  state.registers.clear();
  state.shared = Array.from({ length: memoryWords }, () => ({ value: 0, thread: NEVER, barriers: -1, step: -1 }));
  state.barriers = 0;
}

function write(runs = [], step) {
  for (const [word, thread, barriers, length, values] of runs) {
    row(values, length).forEach((value, index) => {
      const writer = thread === null ? COPY : thread + index;
      state.shared[word + index] = { value: Number(value), thread: writer, barriers, step };
    });
  }
}

/** Brings the state to what it is after a step. */
function go(target) {
  if (target < state.at) restart();
  while (state.at < target) {
    const step = steps[++state.at];
    write(step.others, state.at);
    write(step.writes, state.at);
    for (const [register, values] of step.results ?? []) {
      state.registers.set(register, { values: row(values), step: state.at });
    }
    if (code[step.pc].isBarrier) state.barriers++;
  }
}

// ---- The parts of the page ----------------------------------------------------------------------

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
  const args = data.params.map(({ name, value, at }) => `${name} = ${at ? `0x${at}` : value}`).join(", ");
  byId("where").textContent =
    `warp ${data.warp} of ${warps} in block ${data.inBlock}; grid ${size(data.grid)}, blocks of ${size(data.block)}; ${args}`;
  if (!finding) return;
  const where = isMine ? "in the last step of this record" : `in warp ${finding.number >> 5} of block ${finding.inBlock}; this warp's record ends before`;
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

// ---- Code ---------------------------------------------------------------------------------------

const listings = [];
function listing(title, lines, first, lineOf, isShown = () => true) {
  const box = element("div", { class: "code" });
  const rows = new Map();
  const run = new Set(steps.map(({ pc }) => lineOf(code[pc])));
  lines.forEach((text, index) => {
    const line = first + index;
    if (!isShown(text)) return;
    const made = element("div", { class: run.has(line) ? "seen" : undefined }, element("b", {}, String(line)), text || " ");
    made.onclick = () => {
      const runs = steps.flatMap(({ pc }, at) => (lineOf(code[pc]) === line ? [at] : []));
      if (runs.length) render(runs.find((at) => at > now) ?? runs[0]);
    };
    rows.set(line, made);
    box.append(made);
  });
  const card = element("section", { class: "card" }, element("h2", {}, title), box);
  byId("code").append(card);
  listings.push({ box, card, rows, lineOf, current: null });
  return card;
}

function makeCode() {
  for (const { file, name, lines } of data.sources) {
    listing(name, lines, 1, (code) => (code.file === file ? code.source : 0)).dataset.file = file;
  }
  const misses = data.sources.length === 0 && code.some(({ source }) => source);
  const title = misses ? "PTX (its source is not at hand)" : "PTX";
  const card = listing(title, data.ptx.lines, data.ptx.first, (code) => code.line, (text) => !/^\s*\.loc\b|^\s*$/.test(text));
  card.id = "ptx";
  if (finding) listings.at(-1).rows.get(finding.line)?.classList.add("fault");
}

function markCode() {
  const instruction = code[steps[now].pc];
  const known = data.sources.some(({ file }) => file === instruction.file);
  for (const list of listings) {
    const { file } = list.card.dataset;
    if (file !== undefined && known) list.card.hidden = Number(file) !== instruction.file;
    list.current?.classList.remove("current");
    list.current = list.rows.get(list.lineOf(instruction)) ?? null;
    if (!list.current || list.card.hidden) continue;
    list.current.classList.add("current");
    const { box, current } = list;
    const [top, bottom] = [current.offsetTop, current.offsetTop + current.offsetHeight];
    if (top < box.scrollTop + 24 || bottom > box.scrollTop + box.clientHeight - 24) {
      box.scrollTop = top - box.clientHeight / 2;
    }
  }
}

// ---- Registers ----------------------------------------------------------------------------------

/** A bar a lane. */
function bars(values, type) {
  const numbers = values.map((bits) => numeric(bits, type));
  const finite = numbers.filter(Number.isFinite);
  const [low, high] = [Math.min(0, ...finite), Math.max(0, ...finite)];
  const floor = type === "pred" || low < 0 ? low : Math.min(...finite);
  const range = high - floor || 1;
  const y = (number) => 18 - (17 * (number - floor)) / range;
  const bar = (number, each) => {
    if (!has(threads, each) || !Number.isFinite(number)) return "";
    const [from, to] = [y(Math.max(floor, 0)), y(number)];
    return `M${each + 0.1} ${from + 0.5}h.8V${to - 0.5}h-.8z`;
  };
  const path = (list, name) => `<path class="${name}" d="${list.join("")}"/>`;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 32 18");
  svg.setAttribute("preserveAspectRatio", "none");
  const all = numbers.map(bar);
  svg.innerHTML = path(all.filter((_, each) => each !== lane), "") + path([all[lane]], "lane");
  return svg;
}

function registers() {
  const { pc } = steps[now];
  const { reads, writes } = code[pc];
  const rank = (register) => (writes.includes(register) ? 2 : reads.includes(register) ? 1 : 0);
  const order = [...state.registers.keys()].sort((a, b) =>
    rank(b) - rank(a) || state.registers.get(b).step - state.registers.get(a).step || a - b);
  const rows = order.map((register) => {
    const [name, type] = data.registers[register];
    const { values, step } = state.registers.get(register);
    const inLanes = lanesOf(threads).map((each) => values[each]);
    const same = inLanes.every((value) => value === inLanes[0]);
    const written = step === now;
    const made = element("tr", { class: `${written ? "written " : ""}${rank(register) ? "used" : ""}` },
      element("td", {}, name),
      element("td", { class: "type" }, type),
      element("td", {}, has(threads, lane) ? show(values[lane], type) : ""),
      element("td", {}, same ? `all ${show(inLanes[0], type)}` : bars(values, type)));
    onHover(made, () => [
      element("b", {}, `${name}, ${type}, written in step ${step + 1}`),
      pairs(lanesOf(threads).map((each) => [String(each), show(values[each], type)]), 4),
    ]);
    return made;
  });
  const title = element("tr", {}, ...["register", "type", `lane ${lane}`, "all lanes"].map((text) => element("th", {}, text)));
  byId("registers").querySelector("table").replaceChildren(title, ...rows);
}

// ---- Memory -------------------------------------------------------------------------------------

const tint = (each) => `hsl(${each * 11} 75% ${colour("tint")})`;

/** Rows of 128 bytes of global memory, with the lanes that touch them. */
function globalMemory() {
  const { access } = steps[now];
  const box = byId("global");
  box.replaceChildren();
  if (!access || access.shared) return;
  const found = touched(access);
  const rows = [...new Set([...found.keys()].map((word) => word / 32n))].sort((a, b) => (a < b ? -1 : 1));
  const sectors = new Set([...found.keys()].map((word) => word / 8n));
  const start = pointerOf(rows[0] * 128n);
  const grid = element("div", { class: "words" });
  for (const each of rows) {
    grid.append(element("span", { class: "label" }, `+${each * 128n - start.at}`));
    for (let column = 0n; column < 32n; column++) {
      const word = each * 32n + column;
      const lanes = found.get(word);
      const name = [column % 8n === 0n ? "sector" : "", sectors.has(word / 8n) ? "moved" : ""].join(" ");
      const cell = element("span", { class: name }, lanes ? `${lanes[0]}${lanes.length > 1 ? "+" : ""}` : "");
      if (lanes) {
        cell.style.background = tint(lanes[0]);
        onHover(cell, () => [`${place(word * 4n)}: lanes ${lanes.join(", ")}`]);
      }
      grid.append(cell);
    }
  }
  box.append(
    element("h2", {}, "Global memory ", element("small", {}, access.writes ? "written" : "read")),
    element("p", {}, `A row is 128 bytes, numbered from ${start.name} on; a number in it is the lane that touches the word. Grey words come along in a transaction unasked.`),
    grid,
  );
}

const ROW = 18;
const LABEL = 52;

function makeShared() {
  if (!memoryWords) return;
  const canvas = element("canvas");
  const filler = element("div");
  const box = element("div", { class: "window", tabindex: "-1" }, canvas, filler);
  const key = element("p", { class: "key" });
  key.append(...samples([
    ["var(--wait)", "never written"], ["var(--settled)", "written before the last barrier"],
    ["var(--own)", "since then, by this warp"], ["var(--other)", "since then, by another: a race for who touches it now"],
  ]));
  byId("shared").append(
    element("h2", {}, "Shared memory ", element("small", {}, `${data.sharedBytes} bytes; a column is one of the 32 banks`)), box, key);
  box.onscroll = drawShared;
  canvas.onpointermove = (event) => {
    const word = wordAt(event, box, canvas);
    if (word === null) return void (hover.hidden = true);
    hoverAt(event, ...wordText(word));
  };
  canvas.onpointerleave = () => (hover.hidden = true);
}

function wordAt(event, box, canvas) {
  const area = canvas.getBoundingClientRect();
  const column = Math.floor(((event.clientX - area.left - LABEL) / (area.width - LABEL)) * 32);
  const line = Math.floor((event.clientY - area.top - ROW + box.scrollTop) / ROW);
  const word = line * 32 + column;
  return column < 0 || column > 31 || event.clientY < area.top + ROW || word >= memoryWords ? null : word;
}

function settled({ thread, barriers }) {
  return thread !== NEVER && barriers < state.barriers;
}

function wordText(word) {
  const cell = state.shared[word];
  const title = element("b", {}, `byte ${word * WORD}, bank ${word % 32}`);
  if (cell.thread === NEVER) return [title, ": never written"];
  const bits = BigInt(cell.value);
  const who = cell.thread === COPY ? "a copy on its way" : `thread ${cell.thread} (warp ${cell.thread >> 5}, lane ${cell.thread % 32})`;
  return [title, pairs([
    ["as f32", show(bits, "f32")], ["as a number", show(bits, "u32")], ["bits", `0x${bits.toString(16)}`],
    ["written by", who], ["", settled(cell) ? "before the last barrier" : "no barrier since"],
  ])];
}

function drawShared() {
  const box = document.querySelector("#shared .window");
  if (!box) return;
  const [canvas, filler] = box.children;
  const rows = Math.ceil(memoryWords / 32);
  const width = box.clientWidth;
  const height = Math.min(ROW * (rows + 1), 300);
  const scale = devicePixelRatio;
  [canvas.width, canvas.height] = [width * scale, height * scale];
  [canvas.style.width, canvas.style.height] = [`${width}px`, `${height}px`];
  filler.style.height = `${ROW * (rows + 1) - height}px`;
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  context.font = "10px ui-monospace, 'DejaVu Sans Mono', monospace";
  context.textBaseline = "middle";
  const column = (width - LABEL) / 32;
  const { access } = steps[now];
  const found = access?.shared ? touched(access) : new Map();
  const ink = { line: colour("line"), faint: colour("faint"), ink: colour("ink") };
  const paint = Object.fromEntries(["wait", "settled", "own", "other", "bad"].map((name) => [name, colour(name)]));
  const first = Math.floor(box.scrollTop / ROW);
  for (let line = first; line < rows && (line - first) * ROW < height; line++) {
    const y = ROW * (line + 1) - box.scrollTop;
    context.fillStyle = ink.faint;
    context.textAlign = "right";
    context.fillText(String(line * 128), LABEL - 8, y + ROW / 2);
    context.textAlign = "center";
    for (let bank = 0; bank < 32 && line * 32 + bank < memoryWords; bank++) {
      const word = line * 32 + bank;
      const cell = state.shared[word];
      const lanes = found.get(BigInt(word));
      const own = cell.thread >= 0 && cell.thread >> 5 === data.warp;
      const x = LABEL + bank * column;
      context.fillStyle = lanes ? tint(lanes[0]) : cell.thread === NEVER ? paint.wait : settled(cell) ? paint.settled : own ? paint.own : paint.other;
      context.fillRect(x + 0.5, y + 0.5, column - 1, ROW - 1);
      if (lanes) {
        context.strokeStyle = ink.ink;
        context.strokeRect(x + 1, y + 1, column - 2, ROW - 2);
        context.fillStyle = ink.ink;
        context.fillText(`${lanes[0]}${lanes.length > 1 ? "+" : ""}`, x + column / 2, y + ROW / 2, column - 2);
      }
    }
  }
  // The banks, over what has scrolled away; red where several words are wanted.
  const wanted = Array(32).fill(0);
  for (const word of found.keys()) wanted[Number(word % 32n)]++;
  context.fillStyle = colour("card");
  context.fillRect(0, 0, width, ROW);
  context.fillStyle = ink.faint;
  context.textAlign = "right";
  context.fillText("bank", LABEL - 8, ROW / 2);
  context.textAlign = "center";
  wanted.forEach((words, bank) => {
    const conflicts = words > 1 && access.cost > 1;
    context.fillStyle = conflicts ? paint.bad : ink.faint;
    context.fillText(String(bank), LABEL + (bank + 0.5) * column, ROW / 2, column);
  });
}

function sharedMemory() {
  const box = document.querySelector("#shared .window");
  const { access } = steps[now];
  if (box && access?.shared) {
    const lowest = [...touched(access).keys()].reduce((a, b) => (a < b ? a : b));
    const y = ROW * Math.floor(Number(lowest) / 32);
    if (y < box.scrollTop || y + 2 * ROW > box.scrollTop + box.clientHeight) box.scrollTop = Math.max(0, y - 4 * ROW);
  }
  drawShared();
  if (!memoryWords && !byId("global").firstChild) {
    byId("global").replaceChildren(element("h2", {}, "Memory"), element("p", {}, "This step touches no memory, and the kernel has no shared memory."));
  }
}

// ---- All of it ----------------------------------------------------------------------------------

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
