"use strict";
// Source and PTX beside each other.

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
