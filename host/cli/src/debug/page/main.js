// The head of the page, the first drawing, and what the address asks for: `#core=3&step=17` or `#output=y&element=2,5`.

document.title = `${index.op}: a launch`;
byId("title").textContent = `${index.library}: ${index.op}`;
byId("about").textContent = `on ${index.operands}; ${index.setting}`;
byId("times").textContent = `Times: ${index.times}.`;
for (const [id, text] of [["error", index.error && `The launch failed, and is shown as far as it came: ${index.error}`], ["finding", index.finding && `Found with it: ${index.finding}`]]) {
  byId(id).hidden = !text;
  byId(id).textContent = text ?? "";
}
const absent = dmas.filter((dma) => dma.elements && !bytesOf(dma)).length;
byId("limits").textContent = [
  `${dmas.length} DMAs.`,
  absent ? `The elements of ${absent} of them are not on this page: it has the first and the last of each core, the files beside it have more.` : "",
  stepsLeftOut ? `${stepsLeftOut} steps (DMAs and TCM buffers) came after those that are recorded, and are not shown.` : "",
].join(" ");
byId("printed").hidden = !index.printed.length;
byId("printed").querySelector("summary").textContent = `${index.printed.length} printed lines`;
byId("printed").querySelector("pre").textContent = index.printed.join("\n");
drawTimeline();
drawDmas();
drawMap();

function follow() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const [core, step] = ["core", "step"].map((name) => Number(asked.get(name) ?? NaN));
  const dma = ofCore[core]?.find(({ number }) => number === step);
  if (dma && dma !== selected) select(dma);
  if (!asked.has("element")) return;
  const output = outputs.findLastIndex(({ name }) => name === asked.get("output"));
  if (output >= 0) byId("output").value = String(output);
  drawMap();
  byId("element").value = asked.get("element");
  byId("question").requestSubmit();
}
addEventListener("hashchange", follow);
follow();
