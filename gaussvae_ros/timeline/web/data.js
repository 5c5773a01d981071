// What Python wrote into the page: figures as JSON, columns and sheets as base64.

const figures = JSON.parse(document.getElementById("figures").textContent);
const NONE = 0xffffffff; // in a column of places in a list
const KINDS = {
  uint32: Uint32Array,
  int64: BigInt64Array,
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
};

/** The bytes of an element that holds base64; null while the page is not read so far. */
function bytesOf(id) {
  const element = document.getElementById(id);
  if (!element || (document.readyState === "loading" && !element.nextElementSibling)) return null;
  const text = element.textContent;
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

/** A column of the frames as a typed array. */
function column(name) {
  const id = `column-${name}`;
  const bytes = bytesOf(id);
  if (!bytes) return null;
  document.getElementById(id).textContent = ""; // its base64 is not needed again
  return new KINDS[figures.columns[name]](bytes.buffer, bytes.byteOffset);
}

const frames = {};
for (const name of Object.keys(figures.columns)) {
  if (name !== "descriptor") frames[name] = column(name);
}
const count = frames.id.length;

const labelOf = new Map(figures.labels);
const textsOf = new Map(); // what was read, by row
for (const [row, text] of figures.texts) {
  if (!textsOf.has(row)) textsOf.set(row, []);
  textsOf.get(row).push(text);
}
const rowOfId = new Map();
for (let row = 0; row < count; row++) rowOfId.set(frames.id[row], row);

/** The element with an id. */
function at(id) {
  return document.getElementById(id);
}

/** A new element with a class, text and children, none of which is read as HTML. */
function made(tag, name = "", text = "", ...children) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text) element.textContent = text;
  element.append(...children);
  return element;
}

/** Where a row is in an ascending list of rows, or would be. */
function placeIn(rows, row) {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle] < row) low = middle + 1;
    else high = middle;
  }
  return low;
}
