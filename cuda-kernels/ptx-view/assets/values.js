"use strict";
// The data in the page, and how values are read and shown.

const LANES = 32;
const WORD = 4;
const SECTOR = 32;
const data = JSON.parse(document.getElementById("data").textContent);
const { code, steps } = data;


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

// NVRTC names a parameter after its kernel.
const params = data.params.map((param) => ({ ...param, name: param.name.replace(`${data.kernel}_`, "") }));
const pointers = params
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
