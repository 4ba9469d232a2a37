"use strict";
// The registers, of one lane and of all.

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
