// The timeline: a row for each core, with its DMAs, what it computes between them, and the TCM that it has taken.

const LABEL = 60, LANE = 18, TCM = 22, ROW = LANE + TCM + 12, TOP = 22;
let shown = [0, endOfLaunch];
let selected = null;

/** The bytes of TCM that a core has taken after each of its steps. */
const taken = index.cores.map((core) => {
  const buffers = new Map();
  let [sum, phase] = [0, 0];
  return core.steps.map((step) => {
    // Every phase starts afresh.
    if (step.phase !== phase) [sum, phase] = [0, step.phase, buffers.clear()];
    if (step.kind === "alloc") {
      const bytes = Math.ceil(step.bytes / 64) * 64;
      buffers.set(step.tcm, bytes);
      sum += bytes;
    } else if (step.kind === "free") {
      sum -= buffers.get(step.tcm) ?? 0;
      buffers.delete(step.tcm);
    }
    return sum;
  });
});

function drawTimeline() {
  const width = Math.max(320, byId("timeline").clientWidth - 4);
  const inner = width - LABEL - 8;
  const x = (ns) => LABEL + ((ns - shown[0]) / (shown[1] - shown[0])) * inner;
  const height = TOP + index.cores.length * ROW;
  let content = axis(x, height);
  index.cores.forEach((core, row) => {
    const y = TOP + row * ROW;
    content += `<text x="0" y="${y + 13}">core ${core.number}</text><text x="0" y="${y + LANE + 16}" opacity="0.7">TCM</text>`;
    content += `<rect class="lane" x="${LABEL}" y="${y + LANE + 2}" width="${inner}" height="${TCM}"/>`;
    content += occupancy(core, row, x, inner, y + LANE + 2) + lane(row, x, inner, y);
  });
  if (selected) {
    const [left, right] = [x(selected.begin_ns), x(selected.end_ns)];
    if (right >= LABEL && left <= width) {
      content += `<rect class="selected" x="${left - 1}" y="${TOP + selected.core * ROW - 2}" width="${Math.max(right - left, 2) + 2}" height="${LANE + 4}"/>`;
    }
  }
  const drawing = svg(width, height, "", content);
  drawing.setAttribute("aria-hidden", "true");
  drawing.addEventListener("click", (event) => {
    const box = drawing.getBoundingClientRect();
    const at = { x: ((event.clientX - box.left) / box.width) * width, y: ((event.clientY - box.top) / box.height) * height };
    const core = Math.floor((at.y - TOP) / ROW);
    if (ofCore[core]?.length) select(near(core, shown[0] + ((at.x - LABEL) / inner) * (shown[1] - shown[0])), false);
  });
  byId("timeline").replaceChildren(drawing);
}

/** Grid lines at round times, and the beginnings of phases. */
function axis(x, height) {
  const step = [1, 2, 5].flatMap((n) => Array.from({ length: 10 }, (_, e) => n * 10 ** e)).sort((a, b) => a - b)
    .find((size) => (shown[1] - shown[0]) / size <= 8);
  let content = "";
  for (let at = Math.ceil(shown[0] / step) * step; at <= shown[1]; at += step) {
    content += `<line class="grid" x1="${x(at)}" x2="${x(at)}" y1="16" y2="${height}"/><text x="${x(at) + 3}" y="12">${time(at)}</text>`;
  }
  index.phases.slice(1).forEach((phase) => {
    content += `<line stroke="currentColor" stroke-dasharray="4 3" x1="${x(phase.begin_ns)}" x2="${x(phase.begin_ns)}" y1="16" y2="${height}"><title>${escaped(phase.op)}</title></line>`;
  });
  return content;
}

/** DMAs and computation of a core. What is narrower than a pixel is drawn together with its neighbour. */
function lane(row, x, inner, y) {
  const boxes = [];
  const box = (kind, from, to) => {
    const [left, right] = [Math.max(x(from), LABEL), Math.min(x(to), LABEL + inner)];
    if (right < LABEL || left > LABEL + inner || to <= from) return;
    const last = boxes.findLast((other) => other.kind === kind);
    if (last && left - last.right < 0.5 && right - left < 1) last.right = Math.max(last.right, right);
    else boxes.push({ kind, left, right });
  };
  let end = null;
  for (const dma of ofCore[row]) {
    const begin = end !== null && end.phase === dma.phase ? end.end_ns : index.phases[dma.phase].begin_ns;
    box("compute", begin, dma.begin_ns);
    box(dma.kind, dma.begin_ns, dma.end_ns);
    end = dma;
  }
  const draw = ({ kind, left, right }) => {
    const inset = kind === "compute" ? 5 : 0;
    return `<rect class="${kind}" x="${left.toFixed(2)}" y="${y + inset}" width="${Math.max(right - left, 0.7).toFixed(2)}" height="${LANE - 2 * inset}"/>`;
  };
  return boxes.map(draw).join("");
}

/** The most TCM that is taken at each pixel. */
function occupancy(core, row, x, inner, y) {
  const most = new Float64Array(Math.ceil(inner) + 1);
  core.steps.forEach((step, i) => {
    const next = core.steps[i + 1]?.begin_ns ?? step.end_ns;
    const [from, to] = [Math.floor(x(step.begin_ns) - LABEL), Math.ceil(x(next) - LABEL)];
    for (let at = Math.max(from, 0); at <= Math.min(Math.max(to, from), inner); at++) most[at] = Math.max(most[at], taken[row][i]);
  });
  const points = Array.from(most, (bytes, at) => `L${LABEL + at} ${(y + TCM * (1 - Math.min(1, bytes / index.tcm_bytes))).toFixed(1)}`);
  return `<path class="tcm" d="M${LABEL} ${y + TCM}${points.join("")}L${LABEL + most.length - 1} ${y + TCM}Z"/>`;
}

/** The DMA of a core that is nearest to a time. */
function near(core, ns) {
  const distance = (dma) => Math.max(dma.begin_ns - ns, ns - dma.end_ns, 0);
  return ofCore[core].reduce((best, dma) => (distance(dma) < distance(best) ? dma : best));
}

function zoom(factor) {
  const middle = selected ? (selected.begin_ns + selected.end_ns) / 2 : (shown[0] + shown[1]) / 2;
  show(middle - ((shown[1] - shown[0]) * factor) / 2, (shown[1] - shown[0]) * factor);
}

function show(from, length) {
  length = Math.max(20, Math.min(length, endOfLaunch));
  from = Math.max(0, Math.min(from, endOfLaunch - length));
  shown = [from, from + length];
  drawTimeline();
}

const KEYS = {
  ArrowLeft: (dma) => ofCore[dma.core][dma.place - 1],
  ArrowRight: (dma) => ofCore[dma.core][dma.place + 1],
  ArrowUp: (dma) => beside(dma, -1),
  ArrowDown: (dma) => beside(dma, 1),
  Home: (dma) => ofCore[dma.core][0],
  End: (dma) => ofCore[dma.core].at(-1),
};
const ZOOMS = { "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), 0: () => show(0, endOfLaunch) };

function beside(dma, step) {
  for (let core = dma.core + step; ofCore[core]; core += step) {
    if (ofCore[core].length) return near(core, (dma.begin_ns + dma.end_ns) / 2);
  }
}

byId("timeline").addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const to = KEYS[event.key] && (selected ? KEYS[event.key](selected) ?? selected : dmas[0]);
  if (to) select(to);
  else if (ZOOMS[event.key]) ZOOMS[event.key]();
  else return;
  event.preventDefault();
});
byId("zoom-in").addEventListener("click", ZOOMS["+"]);
byId("zoom-out").addEventListener("click", ZOOMS["-"]);
byId("zoom-all").addEventListener("click", ZOOMS[0]);
new ResizeObserver(drawTimeline).observe(byId("timeline"));
