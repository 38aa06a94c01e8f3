// The launch: its steps, their elements, and what is odd about them.

const { index, data } = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const isDma = (step) => step.kind === "load" || step.kind === "store";

/** The DMAs, in the order of the cores and of their steps. */
const dmas = index.cores.flatMap((core) =>
  core.steps.map((step, number) => ({ ...step, core: core.number, number })).filter(isDma));
const ofCore = index.cores.map((core) => dmas.filter((dma) => dma.core === core.number));
ofCore.forEach((list) => list.forEach((dma, place) => { dma.place = place; }));

const tensorOf = (dma) => index.phases[dma.phase].tensors[dma.tensor];
const endOfLaunch = Math.max(1, ...index.cores.map((core) => core.steps.at(-1)?.end_ns ?? 0));

const bytesOfCore = data.map(({ bytes }) => Uint8Array.from(atob(bytes), (character) => character.charCodeAt(0)));

/** The bytes that a DMA moved; null where they are not on this page. */
function bytesOf(dma) {
  const at = data[dma.core].at[dma.number];
  return at === null ? null : bytesOfCore[dma.core].subarray(at, at + dma.bytes);
}

const WIDTH = { f32: 4, bf16: 2, f16: 2, i32: 4, i16: 2, i8: 1, u8: 1 };
const unwritten = index.unwritten && parseInt(index.unwritten.slice(2) + index.unwritten.slice(0, 2), 16);

function half(bits) {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const size = exponent === 31 ? (fraction ? NaN : Infinity)
    : exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction;
  return bits >> 15 ? -size : size;
}

const word = new DataView(new ArrayBuffer(4));
function single(bits) {
  word.setUint32(0, bits);
  return word.getFloat32(0);
}

/** Element `i` of `bytes`: its value, its bits, and its mark if it is odd. */
function element(dtype, bytes, i) {
  const width = WIDTH[dtype];
  let bits = 0;
  for (let byte = width; byte-- > 0;) bits = bits * 256 + bytes[i * width + byte];
  const signed = (size) => (bits >= 2 ** (size - 1) ? bits - 2 ** size : bits);
  const value = { f32: () => single(bits), bf16: () => single(bits * 65536), f16: () => half(bits),
    i32: () => signed(32), i16: () => signed(16), i8: () => signed(8), u8: () => bits }[dtype]();
  return { value, bits, mark: mark(dtype, bits, value) };
}

const LEAST = { f32: 2 ** -126, bf16: 2 ** -126, f16: 2 ** -14 };
const MARKS = ["unwritten", "NaN", "inf", "denormal"];
function mark(dtype, bits, value) {
  // Every half of what was never written is the same; of a single byte nobody can tell.
  const halves = WIDTH[dtype] === 4 ? unwritten * 65537 : unwritten;
  if (unwritten !== null && WIDTH[dtype] > 1 && bits === halves) return "unwritten";
  if (!(dtype in LEAST)) return null;
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return "inf";
  return value !== 0 && Math.abs(value) < LEAST[dtype] ? "denormal" : null;
}

/** As few digits as tell an f32 from its neighbours. */
function digits(dtype, value) {
  if (!(dtype in LEAST) || !Number.isFinite(value)) return String(value);
  if (Object.is(value, -0)) return "-0";
  for (let count = 1; count < 9; count++) {
    const text = Number(value.toPrecision(count));
    if (Math.fround(text) === value) return String(text);
  }
  return String(Number(value.toPrecision(9)));
}

/** How many elements of a DMA have each mark. */
function marksOf(dma) {
  if (!dma.marks) {
    dma.marks = Object.fromEntries(MARKS.map((name) => [name, 0]));
    const [bytes, { dtype }] = [bytesOf(dma), tensorOf(dma)];
    for (let i = 0; bytes && i < dma.elements; i++) {
      const found = element(dtype, bytes, i).mark;
      if (found) dma.marks[found]++;
    }
  }
  return dma.marks;
}

/** `[2, 5]` of element 17 of a shape. */
function indices(shape, at) {
  const found = [];
  for (const size of [...shape].reverse()) {
    found.unshift(at % size);
    at = Math.floor(at / size);
  }
  return found;
}

const time = (ns) => (ns < 1000 ? `${ns} ns` : ns < 1e6 ? `${(ns / 1000).toFixed(2)} us` : `${(ns / 1e6).toFixed(3)} ms`);
const range = (dma) => (dma.elements === 1 ? `${dma.start}` : `${dma.start}..${dma.start + dma.elements}`);

/** An element of HTML with children, which may be text. */
function html(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value !== null && value !== false) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** A drawing of `width` by `height` with this content, whose texts are the page's own. */
function svg(width, height, label, content) {
  const box = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  box.setAttribute("viewBox", `0 0 ${width} ${height}`);
  box.setAttribute("role", "img");
  box.setAttribute("aria-label", label);
  box.innerHTML = content;
  return box;
}
const escaped = (text) => String(text).replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

/** A table a page at a time. */
function paged(columns, count, row, size, label, first = 0) {
  const body = html("tbody");
  const heads = columns.map(([name, kind]) => html("th", { class: kind, scope: "col" }, name));
  const table = html("div", { class: "wide", tabindex: 0, role: "region", "aria-label": label }, html("table", {}, html("thead", {}, html("tr", {}, ...heads)), body));
  const where = html("span", { "aria-live": "polite" });
  const go = (to) => {
    first = Math.max(0, Math.min(to, Math.floor(Math.max(0, count - 1) / size) * size));
    const last = Math.min(first + size, count);
    body.replaceChildren(...Array.from({ length: last - first }, (_, i) => row(first + i)));
    where.textContent = count ? `${first + 1} to ${last} of ${count}` : "none";
  };
  const turn = (text, step) => html("button", { click: () => go(step(first)) }, text);
  const tools = [turn("First", () => 0), turn("Previous", (at) => at - size), turn("Next", (at) => at + size), turn("Last", () => count)];
  go(Math.floor(first / size) * size);
  return [html("div", { class: "tools" }, ...(count > size ? tools : []), where), table];
}
