// Pictures of frames: cut out of sheets, which are decoded when one of their pictures is drawn.

const SHEETS_KEPT = 4; // decoded, a few MB each
const PICTURES_KEPT = 500;
const sheets = new Map(); // number -> ImageBitmap, the one used last at the end
const pictures = new Map(); // place -> ImageBitmap, likewise
const wanted = new Map(); // place -> its size, what is asked for and not there yet
const unreadable = new Set(); // numbers of sheets
let reading = false;

const pictureRow = shownBy();

/** For each row the row whose picture stands for it: its own, or the nearest of its camera. */
function shownBy() {
  const stands = new Int32Array(count).fill(-1);
  const failed = new Set(figures.failed);
  for (const step of [1, -1]) {
    const last = new Map();
    for (let row = step > 0 ? 0 : count - 1; row >= 0 && row < count; row += step) {
      const of = frames.session[row] * figures.cameras.length + frames.camera[row];
      if (frames.picture[row] !== NONE) last.set(of, row);
      const near = last.has(of) && !failed.has(frames.id[row]) ? last.get(of) : -1;
      const before = stands[row];
      if (near >= 0 && (before < 0 || Math.abs(near - row) < Math.abs(before - row))) {
        stands[row] = near;
      }
    }
  }
  return stands;
}

/** The picture that stands for a row; null where there is none, or not yet: then all is drawn
 * again once it is there. */
function pictureOf(row) {
  const shown = pictureRow[row];
  if (shown < 0) return null;
  const place = frames.picture[shown];
  const picture = pictures.get(place);
  if (picture) {
    pictures.delete(place);
    pictures.set(place, picture);
    return picture;
  }
  if (!unreadable.has(Math.floor(place / figures.cells))) {
    wanted.set(place, figures.sizes[frames.size[shown]]);
    readNext();
  }
  return null;
}

/** The (w, h) px of a row's picture. */
function pictureSize(row) {
  const [, , w, h] = figures.sizes[frames.size[row]];
  return [w, h];
}

/** Draw a row's picture into a box, whole and in its proportions; whether it is there. */
function drawPicture(context, row, x, y, w, h) {
  const picture = pictureOf(row);
  const [pw, ph] = pictureSize(row);
  const scale = Math.min(w / pw, h / ph);
  const box = [x + (w - pw * scale) / 2, y + (h - ph * scale) / 2, pw * scale, ph * scale];
  context.fillStyle = theme.line;
  if (picture) context.drawImage(picture, ...box);
  else context.fillRect(...box);
  return Boolean(picture);
}

async function readNext() {
  if (reading) return;
  reading = true;
  while (wanted.size) {
    const chosen = frames.picture[pictureRow[state.row]];
    const place = wanted.has(chosen) ? chosen : wanted.keys().next().value;
    const number = Math.floor(place / figures.cells);
    const sheet = await sheetOf(number);
    if (sheet === null) break; // the page is not read so far; drawing asks again
    for (const [other, size] of [...wanted]) {
      if (Math.floor(other / figures.cells) !== number) continue;
      wanted.delete(other);
      if (sheet) keep(pictures, other, await cut(sheet, other, size), PICTURES_KEPT);
    }
    redraw();
    if (!wanted.size) await drawn(); // which asks for what is seen now
  }
  reading = false;
  if (wanted.size) setTimeout(readNext, 100);
}

/** Once all is drawn again. */
function drawn() {
  return new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
}

/** A decoded sheet; null while it is not read, false where it is not to be had. */
async function sheetOf(number) {
  if (sheets.has(number)) return sheets.get(number);
  const bytes = bytesOf(`sheet-${number}`);
  if (!bytes && document.readyState === "loading") return null;
  try {
    const sheet = await createImageBitmap(new Blob([bytes], { type: "image/webp" }));
    keep(sheets, number, sheet, SHEETS_KEPT);
    return sheet;
  } catch {
    unreadable.add(number);
    return false;
  }
}

function cut(sheet, place, size) {
  const cell = place % figures.cells;
  const [, , w, h] = size;
  const [x, y] = [(cell % figures.across) * w, Math.floor(cell / figures.across) * h];
  return createImageBitmap(sheet, x, y, w, h);
}

function keep(kept, key, value, most) {
  kept.set(key, value);
  while (kept.size > most) {
    const oldest = kept.keys().next().value;
    kept.get(oldest).close();
    kept.delete(oldest);
  }
}
