// Making elements, unpacking data, writing numbers. Text reaches the page through text nodes and attributes only: there
// is no place here where a string is read as markup.

const SVG = "http://www.w3.org/2000/svg";

// Half of a surrogate pair is no character; `shown` tells which it was, elsewhere a replacement stands for it.
const sound = (value) => (typeof value === "string" ? value.replace(/[\ud800-\udfff]/gu, "\ufffd") : value);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "css") for (const [property, amount] of Object.entries(value)) node.style.setProperty(property, amount);
    else node.setAttribute(name, value === true ? "" : sound(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false).map(sound));
  return node;
}

const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// Data -----------------------------------------------------------------------------------------------------------------

async function unpack(id) {
  const block = document.getElementById(id);
  const packed = Uint8Array.from(atob(block.textContent), (character) => character.charCodeAt(0));
  const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(plain).text());
}

// Chunks of episodes, unpacked when first needed; the last few are kept.
const chunks = new Map();
const firstOfChunk = new Map();
let data = null;

function chunk(number) {
  let promise = chunks.get(number);
  chunks.delete(number);
  promise ??= unpack(`chunk-${number}`);
  chunks.set(number, promise);
  if (chunks.size > 24) chunks.delete(chunks.keys().next().value);
  return promise;
}

async function episodeAt(index) {
  const number = data.episodes.chunk[index];
  return (await chunk(number))[index - firstOfChunk.get(number)];
}

async function load() {
  data = await unpack("index");
  data.episodes.chunk.forEach((number, index) => { if (!firstOfChunk.has(number)) firstOfChunk.set(number, index); });
  data.count = data.episodes.chunk.length;
  data.groups = new Map();
  for (let index = 0; index < data.count; index++) {
    const key = groupKey(index);
    if (!data.groups.has(key)) data.groups.set(key, []);
    data.groups.get(key).push(index);
  }
}

const groupKey = (index) => ["iteration", "task", "split", "player"].map((column) => data.episodes[column][index]).join(" ");
// Whether an episode is one of the policy that learns; in a game others may play along (an expert, an earlier self).
const learns = (index) => !known(data.episodes.player[index]);
const label = (column, index) => data.labels[data.episodes[column][index]] ?? null;
const taskName = (index) => data.tasks[data.episodes.task[index]];

// Words and numbers ----------------------------------------------------------------------------------------------------

const known = (value) => value !== null && value !== undefined;

function short(value, signed = false) {
  if (!known(value)) return "–";
  const size = Math.abs(value);
  let text;
  if (Number.isInteger(value) && size < 1e5) text = String(size);
  else if (size >= 1e9) text = `${(size / 1e9).toPrecision(3)} G`;
  else if (size >= 1e6) text = `${(size / 1e6).toPrecision(3)} M`;
  else if (size >= 1e5) text = `${Math.round(size / 1e3)} k`;
  else if (size >= 100) text = size.toFixed(0);
  else if (size >= 1e-3) text = String(Number(size.toPrecision(3)));
  else text = size === 0 ? "0" : size.toExponential(1);
  return (value < 0 ? "−" : signed && value > 0 ? "+" : "") + text;
}

const fixed = (value) => (known(value) ? (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2) : "–");
const percent = (value) => (known(value) ? `${(100 * value).toFixed(value === 0 || value === 1 ? 0 : 1)} %` : "–");
const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
const words = (name) => name.replace(/[_/]+/g, " ").replace(/ s$/, "/s").trim();
const mean = (values) => (values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null);

// Characters that would be invisible, or turn the reading direction of what follows, are shown by number.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]/u;

function shown(text) {
  const parts = [];
  let from = 0;
  let at = 0;
  for (const character of String(text)) {
    if (HIDDEN.test(character)) {
      const code = character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
      parts.push(text.slice(from, at), el("span", { class: "hidden-character", title: "invisible character" }, `U+${code}`));
      from = at + character.length;
    }
    at += character.length;
  }
  parts.push(text.slice(from));
  return parts;
}

const chip = (kind, ...text) => el("span", { class: `chip ${kind}` }, ...text);

// One tooltip for the whole page.
function tip(event, ...children) {
  const box = document.getElementById("tip");
  if (!event) { box.hidden = true; return; }
  box.replaceChildren(...children);
  box.hidden = false;
  const { width, height } = box.getBoundingClientRect();
  box.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
  box.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - height - 8))}px`;
}
