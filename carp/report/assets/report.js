"use strict";
// Reads the data in the page, and draws one section after the other. What a run lacks is left out.

const runs = JSON.parse(document.getElementById("data").textContent);
const main = document.querySelector("main");
const COLOURS = 10;
const charts = [];

// ---- Helpers ----

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const colour = (index) => `var(--c${index % COLOURS})`;
/** The present value of a colour of the style sheet, for a canvas. */
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const dot = (index) => {
  const made = element("span", { className: "dot" });
  made.style.background = colour(index);
  return made;
};
const percent = (fraction) => fraction == null ? "–" : `${(100 * fraction).toFixed(2)} %`;
const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
const rounded = (value) => value == null ? "–" : String(Number(value.toPrecision(5)));

function section(id, title, explanation) {
  const made = element("section", { id }, element("h2", { textContent: title }));
  if (explanation) made.append(element("p", { textContent: explanation }));
  main.append(made);
  document.querySelector("nav").append(element("a", { href: `#${id}`, textContent: title }));
  return made;
}

/** A section with a card for each run that has something to show. */
function cards(id, title, explanation, show) {
  const made = runs.map((run) => [run, show(run)]).filter(([, shown]) => shown);
  if (made.length === 0) return;
  const grid = element("div", { className: "grid runs" });
  for (const [run, shown] of made) {
    const card = element("div", { className: "card" });
    if (runs.length > 1) card.append(element("h3", {}, dot(runs.indexOf(run)), run.name));
    card.append(shown);
    grid.append(card);
  }
  section(id, title, explanation).append(grid);
}

// ---- What the pointer is over ----

const hover = document.getElementById("hover");

function tell(event, ...content) {
  hover.replaceChildren(...content);
  hover.hidden = false;
  const { offsetWidth: width, offsetHeight: height } = hover;
  const left = Math.min(event.clientX + 14, innerWidth - width - 8);
  const below = event.clientY + 14;
  hover.style.left = `${Math.max(8, left)}px`;
  hover.style.top = `${below + height > innerHeight ? event.clientY - height - 14 : below}px`;
}

/** While the pointer is over a target, shows what `content` makes of it. */
function tells(root, selector, content) {
  root.addEventListener("pointermove", (event) => {
    const target = event.target.closest(selector);
    if (target) tell(event, ...content(target));
    else hover.hidden = true;
  });
  root.addEventListener("pointerleave", () => { hover.hidden = true; });
}

// ---- Charts over steps ----

const column = (run, name) => run.metrics.steps[name];

/** A line of a run's column over its steps. */
function line(run, name, label, options = {}) {
  const values = column(run, name);
  if (!values || values.every((value) => value == null)) return [];
  return [{ label, x: column(run, "step"), y: values, colour: runs.indexOf(run), ...options }];
}

function chart(grid, title, lines, show = rounded) {
  if (lines.length === 0) return;
  const card = element("div", { className: "card" }, element("h3", { textContent: title }));
  grid.append(card);
  const size = () => ({ width: card.clientWidth - 26, height: 260 });
  const axis = {
    stroke: () => style("--faint"),
    grid: { stroke: () => style("--line"), width: 0.5 },
    ticks: { stroke: () => style("--line"), width: 0.5 },
  };
  const series = lines.map(({ label, colour, dash, width = 1.3, points = false }) => ({
    label,
    stroke: () => style(`--c${colour % COLOURS}`),
    width,
    dash,
    spanGaps: true,
    points: { show: points, size: 6, fill: () => style(`--c${colour % COLOURS}`) },
    value: (_, value) => show(value),
  }));
  const plot = new uPlot({
    ...size(),
    scales: { x: { time: false } },
    axes: [axis, { ...axis, size: 64, values: (_, values) => values.map(show) }],
    series: [{ label: "step" }, ...series],
    cursor: { drag: { x: true, y: false } },
  }, uPlot.join(lines.map(({ x, y }) => [x, y])), card);
  charts.push(plot);
  new ResizeObserver(() => plot.setSize(size())).observe(card);
}

/** A level line through a run's steps. */
function level(run, value, label) {
  const steps = column(run, "step") ?? [];
  if (value == null || steps.length === 0) return [];
  const x = [...new Set([steps[0], steps[steps.length - 1]])];
  return [{ label, x, y: x.map(() => value), colour: 8, dash: [6, 5], width: 1.2 }];
}

/** The lines of collapse of these runs, one for each height. */
function collapses(runs) {
  const seen = new Map();
  for (const run of runs) {
    const last = (column(run, "step") ?? []).at(-1) ?? 0;
    const other = seen.get(run.collapse);
    if (run.collapse != null && !(other && other.last >= last)) seen.set(run.collapse, { run, last });
  }
  return [...seen.values()].flatMap(({ run }) => level(run, run.collapse, `collapse: ln N_B = ${rounded(run.collapse)}`));
}

/** k-NN accuracy with the measurement before the run; the steps of a resumed run may repeat. */
function accuracies(run) {
  const { step = [], knn = [] } = run.metrics.knn;
  const measured = new Map();
  if (run.result?.knn_before != null) measured.set(0, run.result.knn_before);
  step.forEach((at, row) => measured.set(at, knn[row]));
  const x = [...measured.keys()].sort((a, b) => a - b);
  if (x.length === 0) return [];
  return [{ label: runs.length > 1 ? run.name : "k-NN", x, y: x.map((at) => measured.get(at)), colour: runs.indexOf(run), points: true }];
}

function drawCharts() {
  if (!runs.some((run) => run.metrics.lines > 0)) return;
  const thinned = runs.filter((run) => column(run, "step").length < run.metrics.lines);
  const note = thinned.map((run) => `${run.name}: ${column(run, "step").length} of ${run.metrics.lines} steps are drawn; every column keeps its extremes.`);
  const made = section("training", "Training", ["Drag over a part to see it closer; a double click shows all.", ...note].join(" "));
  const grid = element("div", { className: "grid" });
  made.append(grid);
  const each = (name, title) => runs.flatMap((run) => line(run, name, runs.length > 1 ? run.name : title));
  if (runs.length > 1) {
    // Losses of different methods have nothing to do with each other.
    const methods = [...new Set(runs.map((run) => run.method))];
    for (const method of methods) {
      const own = runs.filter((run) => run.method === method);
      const lines = own.flatMap((run) => line(run, "loss", run.name));
      chart(grid, methods.length > 1 ? `Loss of ${method}` : "Loss", [...lines, ...collapses(own)]);
    }
    chart(grid, "Consistency", each("consistency"));
    chart(grid, "Entropy term", each("entropy"));
  } else {
    const [run] = runs;
    const terms = [
      ...line(run, "loss", "loss"),
      ...line(run, "consistency", "consistency", { colour: 2 }),
      ...line(run, "entropy", "entropy term", { colour: 1 }),
    ];
    chart(grid, "Loss", [...terms, ...collapses(runs)]);
  }
  chart(grid, "k-NN accuracy", [
    ...runs.flatMap(accuracies),
    ...(runs.length === 1 ? level(runs[0], runs[0].result?.knn_pixels, "of raw pixels") : []),
  ], percent);
  chart(grid, "Learning rate", each("lr", "learning rate"));
  chart(grid, "Teacher's momentum", each("teacher_momentum", "momentum"));
  chart(grid, "Images per second", each("images_per_second", "images/s"));
  chart(grid, "Waiting for views, share of a step", each("waiting", "waiting"), percent);
  chart(grid, "Prototypes in use", each("prototypes_in_use", "in use").map((one) => ({ ...one, points: true })), percent);
  chart(grid, "Effective rank of the features", each("effective_rank", "rank").map((one) => ({ ...one, points: true })));
}

// ---- Results ----

function drawSummary() {
  const made = section("summary", "Runs");
  const head = runs.map((run, index) => element("th", {}, dot(index), run.name));
  const rows = [
    ["method", (run) => run.method],
    ["steps", (run) => (run.result ? run.result.steps : `${run.metrics.lines}, not finished`)],
    ["k-NN accuracy of raw pixels", (run) => percent(run.result?.knn_pixels)],
    ["before training", (run) => percent(run.result?.knn_before)],
    ["after training", (run) => percent(run.result ? run.result.knn_after : run.metrics.knn.knn?.at(-1))],
    ["time of training", (run) => run.result && `${run.result.seconds.toFixed(1)} s`],
    ["images per second", (run) => run.result && run.result.images_per_second.toFixed(0)],
    ["a step's memory, planned", (run) => run.result && mebibytes(run.result.planned_peak_bytes)],
    ["peak memory of the process", (run) => run.result && mebibytes(run.result.peak_rss_bytes)],
    ["SHA-256 of the weights", (run) => run.result && element("code", { textContent: run.result.weights_sha256 })],
  ];
  const body = rows.map(([name, cell]) => element("tr", {},
    element("th", { textContent: name }), ...runs.map((run) => element("td", {}, cell(run) ?? "–"))));
  made.append(element("div", { className: "scroll" }, element("table", { className: "summary" },
    element("thead", {}, element("tr", {}, element("th"), ...head)), element("tbody", {}, ...body))));
  const missing = runs.flatMap((run) => run.missing.map((what) => `${run.name}: not shown: ${what}`));
  missing.forEach((text) => made.append(element("p", { textContent: text })));
}

// ---- What the network makes of pictures ----

function drawMap(run) {
  if (!run.network) return null;
  const { x, y, shares, labels, class_names, sheet, side, per_row } = run.network.map;
  const [width, height, margin] = [640, 480, 12];
  const scale = (values, from, to) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return (value) => from + (to - from) * (high > low ? (value - low) / (high - low) : 0.5);
  };
  const [across, up] = [scale(x, margin, width - margin), scale(y, height - margin, margin)];
  const name = (label) => class_names[label] ?? `class ${label}`;
  const classes = [...new Set(labels)].sort((a, b) => a - b);
  const points = x.map((_, at) => svg("circle", {
    cx: across(x[at]).toFixed(1), cy: up(y[at]).toFixed(1), r: 4, "data-at": at,
    style: `fill: ${labels.length ? colour(classes.indexOf(labels[at])) : colour(0)}`,
  }));
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "points" }, ...points);
  tells(picture, "circle", (circle) => {
    const at = Number(circle.dataset.at);
    const [column, row] = [at % per_row, Math.floor(at / per_row)];
    const zoom = 96 / side;
    const shown = element("i");
    shown.style.background = `url(${sheet}) ${-column * 96}px ${-row * 96}px / ${per_row * side * zoom}px auto`;
    return [shown, labels.length ? name(labels[at]) : `picture ${at}`];
  });
  const legend = element("div", { className: "legend" });
  for (const [index, label] of classes.entries()) legend.append(element("span", {}, dot(index), name(label)));
  const made = document.createDocumentFragment();
  made.append(picture, legend, element("p", {
    textContent: `${x.length} pictures of ${run.network.data}; across ${percent(shares[0])} of the variance, up ${percent(shares[1])}.`,
  }));
  return made;
}

function drawConfusion(run) {
  const confusion = run.network?.confusion;
  if (!confusion) return null;
  const { names, counts, k, accuracy } = confusion;
  const head = element("tr", {}, element("th"), ...names.map((name) => element("th", { textContent: name })));
  const body = counts.map((row, label) => {
    const all = row.reduce((a, b) => a + b, 0);
    const cells = row.map((count, taken) => {
      const cell = element("td", { textContent: count || "" });
      const share = all ? count / all : 0;
      const strength = `${Math.round(100 * share)}%`;
      cell.style.background = `color-mix(in srgb, ${colour(taken === label ? 2 : 4)} ${strength}, transparent)`;
      cell.dataset.text = `${count} of ${all} pictures of ${names[label]} taken for ${names[taken]}`;
      return cell;
    });
    return element("tr", {}, element("th", { textContent: names[label] }), ...cells);
  });
  const table = element("table", { className: "confusion" }, element("thead", {}, head), element("tbody", {}, ...body));
  tells(table, "td", (cell) => [cell.dataset.text]);
  const made = document.createDocumentFragment();
  made.append(element("div", { className: "scroll" }, table), element("p", {
    textContent: `A row per class, a column for what its pictures were taken for; k = ${k}, ${percent(accuracy)} right.`,
  }));
  return made;
}

function drawPrototypes(run) {
  const view = run.network?.prototypes;
  if (!view) return null;
  const { prototypes, fullest_first, sheet } = view;
  const pictures = fullest_first.reduce((sum, [, count]) => sum + count, 0);
  const [width, height, most] = [640, 160, fullest_first[0][1]];
  const step = Math.min(width / fullest_first.length, 24);
  const bars = fullest_first.map(([prototype, count], place) => svg("rect", {
    x: (place * step).toFixed(2), y: (height * (1 - count / most)).toFixed(2),
    width: (0.9 * step).toFixed(2), height: (height * count / most).toFixed(2),
    "data-text": `prototype ${prototype}: ${count} of ${pictures} pictures, ${percent(count / pictures)}`,
    style: `fill: ${colour(0)}`,
  }));
  const chart = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "bars" }, ...bars);
  tells(chart, "rect", (bar) => [bar.dataset.text]);
  const made = document.createDocumentFragment();
  made.append(chart, element("p", {
    textContent: `${fullest_first.length} of ${prototypes} prototypes are nearest to some of ${pictures} pictures of ${run.network.data}; the fullest to ${percent(most / pictures)}.`,
  }), picture("Pictures of the fullest prototypes", sheet));
  return made;
}

const picture = (alt, address) => address && element("img", { src: address, alt });

// ---- The step ----

function drawStep(run) {
  const made = document.createDocumentFragment();
  const map = element("div", { className: "map", innerHTML: run.step.map });
  const titles = new Map();
  // The browser's own tooltips are slow.
  for (const title of map.querySelectorAll("title")) {
    titles.set(title.parentElement, title.textContent);
    title.remove();
  }
  tells(map, "rect", (rect) => [titles.get(rect) ?? "arena"]);
  made.append(map, element("details", {}, element("summary", { textContent: "Table of the ops" }), element("pre", { textContent: run.step.table })));
  return made;
}

// ---- Settings ----

/** Lines with their sections, such as `[model] width = 8`. */
function settings(run) {
  let section = "";
  return run.settings.split("\n").map((text) => {
    if (text.startsWith("[")) section = text;
    return { text, key: `${section} ${text}` };
  });
}

const known = runs.map((run) => new Set(settings(run).map(({ key }) => key)));

function drawSettings(run) {
  const lines = settings(run).map(({ text, key }) =>
    known.every((keys) => keys.has(key)) ? `${text}\n` : element("mark", { textContent: `${text}\n` }));
  return element("pre", {}, ...lines);
}

// ---- Light and dark ----

const wantsDark = matchMedia("(prefers-color-scheme: dark)");

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  document.getElementById("theme").textContent = theme === "dark" ? "Light" : "Dark";
  charts.forEach((plot) => plot.redraw(false));
}

document.getElementById("theme").addEventListener("click", () => {
  setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
});
wantsDark.addEventListener("change", () => setTheme(wantsDark.matches ? "dark" : "light"));
let themeOnScreen;
addEventListener("beforeprint", () => {
  themeOnScreen = document.documentElement.dataset.theme;
  setTheme("light");
});
addEventListener("afterprint", () => setTheme(themeOnScreen));

setTheme(wantsDark.matches ? "dark" : "light");
document.title = `CARP: ${runs.map((run) => run.name).join(", ")}`;
drawSummary();
drawCharts();
cards("neighbours", "Neighbours", "Left a test picture, then its nearest neighbours by the untrained network and by the trained one; green: the same class.", (run) => picture("Neighbours before and after training", run.neighbours));
cards("features", "Features", "The trained network's features of pictures, seen along their two principal components.", drawMap);
cards("confusion", "Confusion", null, drawConfusion);
cards("prototypes", "Prototypes", "The share of pictures that each of the teacher's prototypes is nearest to, by cosine, the fullest first. Below, a row for each of the eight fullest: those of its pictures that are nearest to it.", drawPrototypes);
cards("views", "Views", "Some pictures of the first step, and their views as the network saw them: global ones, then local ones.", (run) => picture("Pictures and their views", run.views));
cards("step", "Step", "The memory of a step: ops from left to right, the arena from bottom to top. Point at a block to see whose it is, and until when.", drawStep);
cards("settings", "Settings", runs.length > 1 ? "Marked: what is not the same in all runs." : null, drawSettings);
