// The strip: pictures along time, how dense frames are, what was forgotten, and where we are.

const FILM = 58; // px, height of the pictures
const LANE = 14; // px, height of the bars
const PLAY = 10; // frames a second
const strip = { film: 0 };

/** A place on the axis as px of the strip, and back. */
function toStrip(place, width) {
  return ((place - state.from) / (state.to - state.from)) * width;
}

function fromStrip(px) {
  return state.from + (px / at("strip").clientWidth) * (state.to - state.from);
}

function paintStrip() {
  const { context, width, height } = surface(at("strip"));
  context.clearRect(0, 0, width, height);
  strip.film = height > 110 ? FILM : 40;
  paintFilm(context, width);
  paintBars(context, width, strip.film + 8);
  paintLost(context, width, strip.film + 8 + LANE + 2);
  paintSessions(context, width, strip.film + 6, strip.film + 8 + LANE + 6);
  paintTicks(context, width, strip.film + 8 + LANE + 22);
  paintOverview(context, width, height - 5);
  paintHead(context, width, strip.film + 8 + LANE + 5);
}

function paintFilm(context, width) {
  const [pw, ph] = pictureSize(state.row);
  const w = Math.max(24, Math.min((strip.film * pw) / ph, 140));
  const cells = Math.max(1, Math.ceil(width / (w + 2)));
  const rows = windowRows();
  for (let k = 0; k < cells; k++) {
    const x = k * (w + 2);
    const [from, to] = [fromStrip(x), fromStrip(x + w + 2)];
    const [a, b] = [placeOnAxis(from, rows), placeOnAxis(to, rows)];
    if (b <= a) continue; // nobody looked at anything here
    const row = rows[(a + b) >> 1];
    context.save();
    context.beginPath();
    context.roundRect(x, 0, w, strip.film, 3);
    context.clip();
    drawPicture(context, row, x, 0, w, strip.film);
    context.restore();
  }
}

/** How many frames each px holds, in the colours of the map. */
function paintBars(context, width, top) {
  const rows = windowRows();
  const counts = new Float32Array(Math.ceil(width) + 1);
  const shades = new Int8Array(counts.length).fill(-1);
  for (const row of rows) {
    const x = Math.floor(toStrip(axis.at[row], width));
    if (x < 0 || x >= counts.length) continue;
    counts[x]++;
    if (shades[x] < 0 || state.colour === "likeness") shades[x] = Math.max(shades[x], shadeOf(row));
  }
  const most = Math.max(...counts, 1);
  const wide = Math.max(1, Math.min(3, width / Math.max(rows.length, 1) - 1));
  for (let x = 0; x < counts.length; x++) {
    if (!counts[x]) continue;
    const h = LANE * (0.35 + 0.65 * Math.sqrt(counts[x] / most));
    context.fillStyle = theme[state.colour][shades[x]];
    context.fillRect(x, top + LANE - h, wide, h);
  }
}

/** Where frames were forgotten: the darker, the more of those that were there. */
function paintLost(context, width, top) {
  const parts = new Float32Array(Math.ceil(width) + 1);
  for (let k = placeOnAxis(state.from, axisRows); k < count; k++) {
    if (axis.at[k - 1] > state.to) break;
    if (!frames.missing[k] || !k) continue;
    const [a, b] = [toStrip(axis.at[k - 1], width), toStrip(axis.at[k], width)];
    const share = frames.missing[k] / (frames.missing[k] + 1);
    const last = Math.min(parts.length - 1, Math.ceil(b));
    for (let x = Math.max(0, Math.floor(a)); x <= last; x++) parts[x] = Math.max(parts[x], share);
  }
  context.fillStyle = theme.lost;
  for (let x = 0; x < parts.length; x++) {
    context.globalAlpha = 0.25 + 0.75 * parts[x];
    if (parts[x]) context.fillRect(x, top, 1, 3);
  }
  context.globalAlpha = 1;
}

function paintSessions(context, width, top, bottom) {
  context.strokeStyle = theme.soft;
  context.lineWidth = 1;
  context.beginPath();
  for (const row of axis.begins) {
    const x = Math.round(toStrip(axis.at[row], width)) - 2.5;
    if (!row || x < 0 || x > width) continue;
    context.moveTo(x, top);
    context.lineTo(x, bottom);
  }
  context.stroke();
  for (const [row] of figures.labels) {
    const x = toStrip(axis.at[row], width);
    if (x < 0 || x > width) continue;
    context.fillStyle = theme.ink;
    context.beginPath();
    context.moveTo(x - 4, top - 3);
    context.lineTo(x + 4, top - 3);
    context.lineTo(x, top + 3);
    context.fill();
  }
}

function paintTicks(context, width, base) {
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "alphabetic";
  context.textAlign = "center";
  context.fillStyle = theme.soft;
  const days = dayOf(frames.stamp[0]) !== dayOf(frames.stamp[count - 1]);
  let shown = "";
  for (const { place, day, text } of ticksOf(state.from, state.to, width, days ? 110 : 90)) {
    const x = toStrip(place, width);
    if (x < 44 || x > width - 44) continue;
    context.fillRect(Math.round(x), base - 15, 1, 4);
    context.fillText(days && day !== shown ? `${day.slice(5)} ${text}` : text, x, base);
    shown = day;
  }
  context.textAlign = "left";
}

/** The whole of time as a thin bar, and the part that is shown. */
function paintOverview(context, width, top) {
  if (state.to - state.from > 0.99 * axis.length) return;
  context.fillStyle = theme.line;
  context.beginPath();
  context.roundRect(0, top, width, 4, 2);
  context.fill();
  context.fillStyle = theme.soft;
  const x = Math.max(0, (state.from / axis.length) * width);
  const w = Math.max(12, ((state.to - state.from) / axis.length) * width);
  context.beginPath();
  context.roundRect(Math.min(x, width - w), top, w, 4, 2);
  context.fill();
}

function paintHead(context, width, bottom) {
  const x = toStrip(axis.at[state.row], width);
  context.fillStyle = theme.accent;
  context.fillRect(x - 1, 0, 2, bottom);
  context.beginPath();
  context.arc(x, bottom, 4.5, 0, 2 * Math.PI);
  context.fill();
}

/** Play on from the chosen frame, or stop. */
function play(on) {
  state.playing = on;
  document.body.classList.toggle("playing", on);
  at("play").setAttribute("aria-label", on ? "Pause" : "Play");
  clearInterval(strip.timer);
  const rows = state.rows;
  if (on && state.row === rows[rows.length - 1]) choose(rows[0]);
  if (!on) return;
  strip.timer = setInterval(() => {
    if (state.row >= state.rows[state.rows.length - 1]) play(false);
    else if (!wanted.size || document.readyState === "loading") step(1);
  }, 1000 / PLAY);
}
