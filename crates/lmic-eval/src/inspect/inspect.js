// Paints bytes by bits. A byte of a character of several shows it first, then dots.
const raw = Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0));
const color = (bits) => {
  const heat = Math.min(1, Math.log2(1 + bits) / 4.1); // 0 to 16 bits
  return `hsl(${(1 - heat) * 210} 85% ${94 - 34 * heat}%)`;
};
for (const span of document.querySelectorAll(".scale")) {
  span.style.background = color(Number(span.dataset.bits));
}
const shown = new Array(raw.length);
for (let i = 0; i < raw.length; ) {
  const byte = raw[i];
  let len = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
  let text = null;
  if (len > 1) {
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(raw.slice(i, i + len));
    } catch {
      len = 1;
    }
  }
  if (text) {
    shown[i] = text;
    for (let k = 1; k < len; k++) shown[i + k] = "·";
  } else if (byte === 10) shown[i] = "↵\n";
  else if (byte >= 32 && byte < 127) shown[i] = String.fromCharCode(byte);
  else shown[i] = `\\${byte.toString(16).padStart(2, "0")}`;
  i += len;
}
const panes = document.getElementById("views");
views.forEach((view, v) => {
  const pane = document.createElement("div");
  const head = document.createElement("h2");
  const mean = raw.length ? view.total / 100 / raw.length : 0;
  head.textContent = `${view.name}: ${Math.ceil(view.total / 800)} of ${raw.length} bytes, ${mean.toFixed(3)} bits per byte`;
  const text = document.createElement("pre");
  text.className = "bytes";
  const part = document.createDocumentFragment();
  for (let i = 0; i < raw.length; i++) {
    const span = document.createElement("span");
    span.textContent = shown[i];
    span.dataset.at = i;
    span.style.background = color(view.bits[i] / 100);
    part.append(span);
  }
  text.append(part);
  pane.append(head, text);
  panes.append(pane);
});
const hint = document.getElementById("hint");
let marked = [];
const point = (at) => {
  for (const span of marked) span.classList.remove("at");
  marked = [...panes.querySelectorAll(".bytes")].map((pane) => pane.children[at]);
  for (const span of marked) span.classList.add("at");
  hint.textContent = `byte ${at}\n` + views.map((view) => `${view.name}\n${view.hints[at]}`).join("\n");
};
panes.addEventListener("mouseover", (event) => {
  const at = event.target.dataset?.at;
  if (at !== undefined) point(Number(at));
});
if (raw.length) point(Math.min(raw.length - 1, Number(location.hash.slice(1)) || 0));
document.body.dataset.ready = "yes";
