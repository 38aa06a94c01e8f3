// What a DMA moved, and the table of all.

/** Shows a DMA everywhere; at element `at` of its tensor, if one is asked for. */
function select(dma, moves = true, at = dma.start) {
  selected = dma;
  history.replaceState(null, "", `#core=${dma.core}&step=${dma.number}`);
  const length = shown[1] - shown[0];
  if (moves && (dma.begin_ns < shown[0] || dma.end_ns > shown[1])) show((dma.begin_ns + dma.end_ns - length) / 2, length);
  else drawTimeline();
  const tensor = tensorOf(dma);
  const steps = index.cores[dma.core].steps;
  const marks = Object.entries(marksOf(dma)).filter(([, count]) => count).map(([name, count]) => `${count} ${name}`);
  byId("step").replaceChildren(
    html("b", {}, `core ${dma.core}, step ${dma.number} of ${steps.length}: ${dma.kind} of elements ${range(dma)} of ${tensor.name}`),
    ` (${tensor.dtype}[${tensor.shape.join(", ")}]), ${dma.bytes} bytes ${dma.kind === "load" ? "to" : "from"} TCM byte ${dma.tcm}, `,
    dma.line ? html("code", {}, dma.line) : "line unknown",
    `, ${time(dma.begin_ns)} to ${time(dma.end_ns)} by the model. `,
    marks.length ? html("span", { class: "mark" }, marks.join(", ")) : "");
  byId("tcm").replaceChildren(tcmMap(dma));
  byId("elements").replaceChildren(...elements(dma, at));
  markRow();
}

/** What is in the core's TCM when a DMA is made. */
function tcmMap(dma) {
  const buffers = new Map();
  index.cores[dma.core].steps.slice(0, dma.number).forEach((step) => {
    if (step.phase !== dma.phase) return;
    if (step.kind === "alloc") buffers.set(step.tcm, step);
    if (step.kind === "free") buffers.delete(step.tcm);
  });
  const [width, scale] = [1000, 1000 / index.tcm_bytes];
  const box = (tcm, bytes, name, y, height, title) =>
    `<rect class="${name}" x="${tcm * scale}" y="${y}" width="${Math.max(bytes * scale, 1)}" height="${height}"><title>${escaped(title)}</title></rect>`;
  let content = `<rect class="lane" width="${width}" height="22"/>`;
  for (const { tcm, bytes, line } of buffers.values()) {
    content += `<g opacity="0.55">${box(tcm, bytes, "compute", 0, 22, `${bytes} bytes at ${tcm}, taken at ${line ?? "?"}`)}</g>`;
    content += `<line class="grid" x1="${tcm * scale}" x2="${tcm * scale}" y2="22"/>`;
  }
  content += box(dma.tcm, dma.bytes, dma.kind, 6, 10, "this DMA");
  const text = [...buffers.values()].map(({ tcm, bytes, line }) => `${bytes} bytes at ${tcm} (${line ?? "?"})`).join("; ");
  const summary = `TCM then, ${index.tcm_bytes} bytes: ${text || "nothing taken by tcm_malloc"}`;
  return html("figure", { style: "margin: 0.5rem 0" }, svg(width, 22, summary, content), html("figcaption", { class: "note" }, summary));
}

function elements(dma, at) {
  const [bytes, { dtype, shape }] = [bytesOf(dma), tensorOf(dma)];
  if (!bytes) {
    const { file } = index.cores[dma.core];
    const key = String(dma.number).padStart(6, "0");
    return [html("p", {}, dma.data === null ? "Its elements were not recorded: they are past the limit."
      : `Its elements are not on this page: they are in ${file} as tensor "${key}".`)];
  }
  if (!dma.elements) return [html("p", {}, "It moved nothing.")];
  const columns = [["element"], ["indices"], ["value"], ["bits", "bits"], ["", "text"]];
  const row = (i) => {
    const { value, bits, mark } = element(dtype, bytes, i);
    const cells = [dma.start + i, indices(shape, dma.start + i).join(", "), digits(dtype, value)];
    return html("tr", { class: mark && mark !== "denormal" ? "marked" : dma.start + i === at && at !== dma.start ? "current" : null },
      ...cells.map((cell) => html("td", {}, String(cell))),
      html("td", { class: "bits" }, bits.toString(16).padStart(2 * WIDTH[dtype], "0")),
      html("td", { class: "text mark" }, mark ?? ""));
  };
  const place = html("div");
  const marked = Array.from({ length: dma.elements }, (_, i) => i).filter((i) => element(dtype, bytes, i).mark);
  const fill = (odd) => {
    const list = (i) => row(odd ? marked[i] : i);
    place.replaceChildren(...paged(columns, odd ? marked.length : dma.elements, list, 64, "Elements of the DMA", odd ? 0 : at - dma.start));
  };
  const box = html("input", { type: "checkbox", change: () => fill(box.checked) });
  fill(false);
  return marked.length ? [html("label", {}, box, ` only the ${marked.length} marked`), place] : [place];
}

const FILTERS = {
  core: [index.cores.map((core) => String(core.number)), (dma) => String(dma.core)],
  kind: [["load", "store"], (dma) => dma.kind],
  tensor: [[...new Set(index.phases.flatMap((phase) => phase.tensors.map((tensor) => tensor.name)))], (dma) => tensorOf(dma).name],
  mark: [MARKS.map((name) => `with ${name}`), null],
};

function drawDmas() {
  const wanted = Object.fromEntries(Object.keys(FILTERS).map((name) => [name, byId(`filter-${name}`).value]));
  const isWanted = (dma) => Object.entries(FILTERS).every(([name, [, value]]) =>
    !wanted[name] || (value ? value(dma) === wanted[name] : marksOf(dma)[wanted[name].slice(5)] > 0));
  const list = dmas.filter(isWanted);
  const columns = [["core"], ["step"], ["kind", "text"], ["tensor", "text"], ["elements"], ["bytes"], ["TCM"], ["begins"], ["line", "text"], ["odd", "text"]];
  const row = (i) => {
    const dma = list[i];
    const odd = MARKS.filter((name) => marksOf(dma)[name]).map((name) => `${marksOf(dma)[name]} ${name}`).join(", ");
    const cell = (text, kind) => html("td", { class: kind }, String(text));
    const button = html("button", { class: "link", click: () => select(dma) }, String(dma.number));
    const made = html("tr", {}, cell(dma.core), html("td", {}, button), cell(dma.kind, "text"), cell(tensorOf(dma).name, "text"),
      cell(range(dma)), cell(dma.bytes), cell(dma.tcm), cell(time(dma.begin_ns)), cell(dma.line ?? "?", "text"), cell(odd, "text mark"));
    made.dma = dma;
    return made;
  };
  byId("dmas").replaceChildren(...paged(columns, list.length, row, 25, "DMAs"));
  markRow();
}

function markRow() {
  byId("dmas").querySelectorAll("tbody tr").forEach((row) => {
    row.classList.toggle("current", row.dma === selected);
  });
}

for (const [name, [values]] of Object.entries(FILTERS)) {
  byId(`filter-${name}`).append(...["", ...values].map((value) => html("option", { value }, value || "all")));
  byId(`filter-${name}`).addEventListener("change", drawDmas);
}
