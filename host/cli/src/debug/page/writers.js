// Who wrote which elements of an output.

const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c7a00", "#7a5195"];
const outputs = index.phases.flatMap((phase, number) =>
  phase.tensors.slice(phase.first_output).map((tensor, output) => ({ ...tensor, phase: number, tensor: phase.first_output + output })));
const stepsLeftOut = index.cores.reduce((sum, core) => sum + core.steps_left_out, 0);
const length = (tensor) => tensor.shape.reduce((product, size) => product * size, 1);
const chosen = () => outputs[byId("output").value];
const storesOf = (output) =>
  dmas.filter((dma) => dma.kind === "store" && dma.elements && dma.phase === output.phase && dma.tensor === output.tensor);

/** Ranges of elements with the stores to them, in order; what nobody stored has none. */
function segments(output) {
  const changes = storesOf(output).flatMap((dma) => [[dma.start, dma, true], [dma.start + dma.elements, dma, false]]);
  changes.sort((a, b) => a[0] - b[0]);
  const [open, found] = [new Set(), []];
  let at = 0;
  const close = (end) => {
    if (end > at) found.push({ start: at, end, dmas: [...open] });
    at = end;
  };
  for (const [element, dma, begins] of changes) {
    close(element);
    if (begins) open.add(dma);
    else open.delete(dma);
  }
  close(length(output));
  return found;
}

function drawMap() {
  const output = chosen();
  byId("answer").replaceChildren();
  if (!output) return byId("map").replaceChildren(html("p", {}, "There is no output."));
  const [width, total, found] = [1000, length(output), segments(output)];
  const x = (element) => (element / Math.max(total, 1)) * width;
  const boxes = [];
  const add = (fill, y, height, { start, end }) => {
    const last = boxes.findLast((other) => other.y === y);
    if (last?.fill === fill && x(start) - last.right < 0.3) last.right = x(end);
    else boxes.push({ fill, y, height, left: x(start), right: x(end) });
  };
  const counts = { none: 0, twice: 0, cores: new Map() };
  for (const one of found) {
    const [cores, size] = [new Set(one.dmas.map((dma) => dma.core)), one.end - one.start];
    cores.forEach((core) => counts.cores.set(core, (counts.cores.get(core) ?? 0) + size));
    if (!one.dmas.length) counts.none += size;
    if (one.dmas.length > 1) counts.twice += size;
    one.dmas.slice(0, 1).forEach((dma) => add(COLOURS[dma.core % 8], 0, 30, one));
    if (one.dmas.length !== 1) add("var(--alarm)", 34, 8, one);
  }
  const drawn = boxes.map(({ fill, y, height, left, right }) =>
    `<rect x="${left.toFixed(2)}" y="${y}" width="${Math.max(right - left, 0.5).toFixed(2)}" height="${height}" style="fill:${fill}"/>`);
  const text = [...counts.cores].sort(([a], [b]) => a - b).map(([core, size]) => `core ${core}: ${size}`).join(", ");
  const map = svg(width, 44, `Elements of ${output.name} by the core that wrote them. ${text}`,
    `<rect class="lane" width="${width}" height="30"/>${drawn.join("")}`);
  map.style.cursor = "pointer";
  map.addEventListener("click", (event) => {
    const box = map.getBoundingClientRect();
    answer(Math.min(total - 1, Math.floor(((event.clientX - box.left) / box.width) * total)));
  });
  const legend = [...counts.cores.keys()].sort((a, b) => a - b).flatMap((core) =>
    [html("i", { class: "swatch", style: `background:${COLOURS[core % 8]}` }), `core ${core}: ${counts.cores.get(core)}  `]);
  const notes = [];
  if (counts.none) notes.push(`${counts.none} elements were not written${stepsLeftOut ? ", or by steps that were left out" : ""}`);
  if (counts.twice) notes.push(`${counts.twice} elements were written more than once`);
  byId("map").replaceChildren(map, html("p", {}, ...legend),
    html("p", { class: notes.length ? "mark" : "note" }, notes.join("; ") || `each of the ${total} elements was written once`));
}

/** Says which core, DMA and line wrote an element, what it wrote, and what it had loaded before. */
function answer(at) {
  const output = chosen();
  byId("element").value = at;
  const writes = storesOf(output).filter((dma) => dma.start <= at && at < dma.start + dma.elements);
  const link = (dma, shownAt) => html("button", { class: "link", click: () => { select(dma, true, shownAt); byId("step-title").scrollIntoView(); } }, `step ${dma.number}`);
  const place = `element ${at} of ${output.name}, at [${indices(output.shape, at).join(", ")}]`;
  const lines = writes.map((dma) => {
    const bytes = bytesOf(dma);
    const found = bytes && element(output.dtype, bytes, at - dma.start);
    const value = found ? `: ${digits(output.dtype, found.value)}${found.mark ? ` (${found.mark})` : ""}` : "";
    const before = ofCore[dma.core].slice(0, dma.place);
    const since = before.slice(before.findLastIndex((other) => other.kind === "store") + 1).filter((other) => other.phase === dma.phase);
    const loads = since.slice(-8).flatMap((load) => [`, `, link(load, load.start), ` (${range(load)} of ${tensorOf(load).name})`]).slice(1);
    return html("li", {}, html("b", {}, `core ${dma.core}`), ", ", link(dma, at), ` at `, html("code", {}, dma.line ?? "?"), value,
      html("br"), ...(loads.length ? ["loaded since its store before: ", ...loads] : ["nothing loaded since its store before"]));
  });
  byId("answer").replaceChildren(html("p", {}, lines.length ? `${place}, was written by` : `${place}, was written by no DMA that was recorded`), html("ul", {}, ...lines));
}

byId("question").addEventListener("submit", (event) => {
  event.preventDefault();
  const output = chosen();
  const parts = byId("element").value.split(",").map((part) => part.trim());
  const numbers = parts.map(Number);
  const isWhole = output && parts.every(Boolean) && numbers.every((number) => Number.isInteger(number) && number >= 0);
  const isFlat = isWhole && numbers.length === 1 && numbers[0] < length(output);
  const isPlace = isWhole && numbers.length === output.shape.length && numbers.every((number, i) => number < output.shape[i]);
  if (isPlace) return answer(numbers.reduce((at, number, i) => at * output.shape[i] + number, 0));
  if (isFlat) return answer(numbers[0]);
  const expected = output ? `a number below ${length(output)}, or ${output.shape.length} indices below ${output.shape.join(", ")}` : "an output";
  byId("answer").replaceChildren(html("p", { class: "mark" }, `expected ${expected}`));
});
byId("output").append(...outputs.map((output, i) =>
  html("option", { value: i }, `${output.name} ${output.dtype}[${output.shape.join(", ")}]${index.phases.length > 1 ? ` of ${index.phases[output.phase].op}` : ""}`)));
// The op's own are those of the last phase.
byId("output").value = String(outputs.findIndex((output) => output.phase === index.phases.length - 1));
byId("output").addEventListener("change", drawMap);
