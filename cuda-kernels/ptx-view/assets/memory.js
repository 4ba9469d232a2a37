"use strict";
// The accesses to global memory, and shared memory with its banks.

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
