// The map: the ground, the route, and frames as points, no more of them than can be told apart.

const map = { scale: 1, x: 0, y: 0, ready: false }; // px a metre, and the middle, m
const WEDGES = 1500; // frames whose heading is drawn, at most
const SPACING = 1.4; // px between two points that are both drawn
const groundCanvas = document.createElement("canvas");
let ground = null; // grey levels of the cells
let layer = null; // what was drawn of ground, route and points, and for what
let placed = {}; // the rows that the map shows, and for what
const SLOW = 30; // ms that drawing them takes, from which on a moving map is the old one, moved
const REST = 120; // ms without a move, after which it is drawn anew

/** Fit the shown frames' poses into the view. */
function fitMap() {
  const { width, height } = surface(at("view"));
  let [low, high] = [[Infinity, Infinity], [-Infinity, -Infinity]];
  for (const row of placedRows()) {
    for (const k of [0, 1]) {
      low[k] = Math.min(low[k], frames.position[3 * row + k]);
      high[k] = Math.max(high[k], frames.position[3 * row + k]);
    }
  }
  if (low[0] > high[0]) [low, high] = [[-1, -1], [1, 1]];
  const room = [Math.max(width - 90, 0.6 * width), Math.max(height - 130, 0.6 * height)];
  const extent = [0, 1].map((k) => Math.max(high[k] - low[k], 0.1));
  map.scale = Math.min(room[0] / extent[0], room[1] / extent[1]);
  [map.x, map.y] = [0, 1].map((k) => (low[k] + high[k]) / 2);
  map.ready = true;
  redraw();
}

/** The shown rows that have a pose in the place that the map shows. */
function placedRows() {
  if (placed.of !== state.rows || placed.place !== state.place) {
    const rows = state.rows.filter((row) => frames.place[row] === state.place);
    placed = { of: state.rows, place: state.place, rows };
  }
  return placed.rows;
}

/** Where all rows are in a view, px: their x and y. */
function project(rows, width, height) {
  const xs = new Float32Array(count);
  const ys = new Float32Array(count);
  for (const row of rows) {
    xs[row] = width / 2 + (frames.position[3 * row] - map.x) * map.scale;
    ys[row] = height / 2 - (frames.position[3 * row + 1] - map.y) * map.scale;
  }
  return { xs, ys };
}

/** A row's place in the view, px. */
function onMap(row, width, height) {
  return [
    width / 2 + (frames.position[3 * row] - map.x) * map.scale,
    height / 2 - (frames.position[3 * row + 1] - map.y) * map.scale,
  ];
}

/** Zoom the map around a point of the view, px. */
function zoomMap(factor, px, py) {
  const { width, height } = surface(at("view"));
  const scale = Math.max(1e-4, Math.min(1e5, map.scale * factor));
  map.x += (px - width / 2) * (1 / map.scale - 1 / scale);
  map.y -= (py - height / 2) * (1 / map.scale - 1 / scale);
  map.scale = scale;
  redraw();
}

function moveMap(dx, dy) {
  map.x -= dx / map.scale;
  map.y += dy / map.scale;
  redraw();
}

/** The shown row nearest to a point of the view, at most `reach` px away; -1 without one. Where
 * several frames were taken at one spot, the one that follows `row` among them. */
function rowOnMap(px, py, reach, row = -1) {
  const { width, height } = surface(at("view"));
  const rows = placedRows();
  const { xs, ys } = project(rows, width, height);
  const away = (other) => Math.hypot(xs[other] - px, ys[other] - py);
  let least = reach;
  for (const other of rows) least = Math.min(least, away(other));
  const near = rows.filter((other) => away(other) < Math.min(least + 2, reach));
  return near.find((other) => other > row && near.includes(row)) ?? near[0] ?? -1;
}

function paintMap() {
  if (state.view !== "map") return;
  const { context, width, height, ratio } = surface(at("view"));
  if (!map.ready) fitMap();
  const by = state.colour === "likeness" ? `${state.row}${Boolean(scoresOf(state.row))}` : "";
  const key = [width, height, ratio, state.place, state.colour, by, darkness.matches];
  key.push(Boolean(ground), [...state.cameras], [...state.sessions]);
  const still = layer && layer.scale === map.scale && layer.x === map.x && layer.y === map.y;
  const fits = layer?.key === key.join();
  if (!fits || (!still && !isMoving())) paintLayer(key.join(), width, height, ratio);
  context.fillStyle = theme.paper;
  context.fillRect(0, 0, width, height);
  const times = map.scale / layer.scale;
  context.save();
  context.translate(width / 2, height / 2);
  context.translate((layer.x - map.x) * map.scale, (map.y - layer.y) * map.scale);
  context.scale(times / ratio, times / ratio);
  context.drawImage(layer.canvas, -layer.canvas.width / 2, -layer.canvas.height / 2);
  context.restore();
  paintScale(context, height);
  paintLabels(context, width, height);
  paintChosen(context, width, height);
}

/** Whether the map moves right now, and is slow to draw. */
function isMoving() {
  if (layer.took < SLOW) return false;
  const now = performance.now();
  if (map.movedTo !== `${map.scale},${map.x},${map.y}`) {
    map.movedTo = `${map.scale},${map.x},${map.y}`;
    map.moved = now;
    clearTimeout(map.timer);
    map.timer = setTimeout(redraw, REST);
  }
  return now - map.moved < REST - 5;
}

/** Draw ground, route and points. */
function paintLayer(key, width, height, ratio) {
  const begun = performance.now();
  const canvas = layer?.canvas || document.createElement("canvas");
  Object.assign(canvas, { width: width * ratio, height: height * ratio });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = theme.paper;
  context.fillRect(0, 0, width, height);
  paintGround(context, width, height);
  const rows = placedRows();
  const places = project(rows, width, height);
  paintRoute(context, rows, places, width, height);
  paintPoints(context, rows, places, width, height);
  const took = performance.now() - begun;
  layer = { canvas, key, took, scale: map.scale, x: map.x, y: map.y };
}

/** Decode the occupancy grid, if there is one. */
async function readGround() {
  if (!figures.ground) return;
  const { png, width, height } = figures.ground;
  const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
  const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }), options);
  Object.assign(groundCanvas, { width, height });
  const context = groundCanvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  ground = context.getImageData(0, 0, width, height).data.filter((_, k) => k % 4 === 0);
  colourGround();
}

/** Free cells, walls and what is unknown in the colours of the theme. */
function colourGround() {
  if (!ground) return;
  const context = groundCanvas.getContext("2d");
  const [floor, wall] = [channels(theme.floor), channels(theme.wall)];
  const image = context.createImageData(groundCanvas.width, groundCanvas.height);
  for (let k = 0; k < ground.length; k++) {
    if (ground[k] > 100) continue;
    const part = ground[k] / 100;
    for (let c = 0; c < 3; c++) image.data[4 * k + c] = floor[c] + part * (wall[c] - floor[c]);
    image.data[4 * k + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  layer = null;
  redraw();
}

function paintGround(context, width, height) {
  if (!ground || state.place !== commonPlace()) return;
  const { resolution, origin } = figures.ground;
  context.save();
  context.translate(width / 2, height / 2);
  context.scale(map.scale, -map.scale);
  context.translate(origin[0] - map.x, origin[1] - map.y);
  context.rotate(origin[2]);
  context.scale(resolution, -resolution); // from here on a cell is 1, and rows go down
  context.imageSmoothingEnabled = resolution * map.scale < 2;
  context.drawImage(groundCanvas, 0, -figures.ground.height);
  context.restore();
}

/** The way from frame to frame of a camera; dashed where frames between were forgotten. */
function paintRoute(context, rows, { xs, ys }, width, height) {
  const [known, lost] = [new Path2D(), new Path2D()];
  const last = new Int32Array(figures.cameras.length).fill(-1); // drawn, of each camera
  const latest = new Int32Array(figures.cameras.length).fill(-1);
  const outside = (x, y) => x < -50 || y < -50 || x > width + 50 || y > height + 50;
  for (const row of rows) {
    const camera = frames.camera[row];
    const [from, before] = [last[camera], latest[camera]];
    latest[camera] = row;
    const [x, y] = [xs[row], ys[row]];
    const joined = before >= 0 && frames.session[before] === frames.session[row];
    const gap = frames.missing[row] > 0 || (joined && secondsBetween(before, row) > axis.idle);
    const near = from >= 0 && Math.abs(x - xs[from]) + Math.abs(y - ys[from]) < 1.5;
    if (joined && !gap && near) continue; // too near to be seen: the line goes on from there
    last[camera] = row;
    if (!joined || (outside(x, y) && outside(xs[from], ys[from]))) continue;
    if (gap && !frames.missing[row]) continue;
    const path = gap ? lost : known;
    path.moveTo(xs[from], ys[from]);
    path.lineTo(x, y);
  }
  context.lineWidth = 1;
  context.strokeStyle = theme.line;
  context.stroke(known);
  context.setLineDash([2, 4]);
  context.strokeStyle = theme.lost;
  context.stroke(lost);
  context.setLineDash([]);
}

/** Points by their shades, one at most for each small square of the view. */
function paintPoints(context, rows, { xs, ys }, width, height) {
  const across = Math.ceil(width / SPACING) + 1;
  const taken = new Int32Array(across * (Math.ceil(height / SPACING) + 1)).fill(-1);
  const shades = new Int8Array(taken.length);
  const cells = [];
  for (const row of rows) {
    if (xs[row] < 0 || ys[row] < 0 || xs[row] >= width || ys[row] >= height) continue;
    const cell = Math.floor(ys[row] / SPACING) * across + Math.floor(xs[row] / SPACING);
    const shade = shadeOf(row);
    if (taken[cell] < 0) cells.push(cell);
    else if (state.colour === "likeness" && shade <= shades[cell]) continue;
    taken[cell] = row;
    shades[cell] = shade;
  }
  cells.sort((a, b) => shades[a] - shades[b] || taken[a] - taken[b]);
  const drawn = cells.map((cell) => taken[cell]);
  const apart = usualSpacing(rows, xs, ys, width, height);
  const radius = Math.max(1.7, Math.min(4.5, 0.3 * apart));
  const heading = drawn.length <= WEDGES && apart > 13;
  for (let k = 0; k < drawn.length; k++) {
    const [x, y] = [xs[drawn[k]], ys[drawn[k]]];
    if (!k || shades[cells[k]] !== shades[cells[k - 1]]) {
      if (k) context.fill();
      context.fillStyle = theme[state.colour][shades[cells[k]]];
      context.beginPath();
    }
    if (heading) {
      const angle = headingOf(drawn[k]);
      context.moveTo(x + 2.6 * radius * Math.cos(angle), y - 2.6 * radius * Math.sin(angle));
      context.arc(x, y, radius, 1.1 - angle, 2 * Math.PI - 1.1 - angle);
      context.closePath();
    } else {
      context.moveTo(x + radius, y);
      context.arc(x, y, radius, 0, 2 * Math.PI);
    }
  }
  if (drawn.length) context.fill();
}

/** The middle one of the distances, px, from rows in the view to those that follow them. */
function usualSpacing(rows, xs, ys, width, height) {
  const steps = [];
  const every = Math.max(1, Math.floor(rows.length / 20000));
  for (let k = every; k < rows.length && steps.length < WEDGES; k += every) {
    const [a, b] = [rows[k - 1], rows[k]];
    if (xs[b] < 0 || ys[b] < 0 || xs[b] >= width || ys[b] >= height) continue;
    steps.push(Math.hypot(xs[a] - xs[b], ys[a] - ys[b]));
  }
  return steps.sort((a, b) => a - b)[steps.length >> 1] ?? 20;
}

/** rad, from x towards y, of the way that a frame's camera looks, seen from above. */
function headingOf(row) {
  const [x, y, z, w] = frames.turn.subarray(4 * row, 4 * row + 4);
  return Math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z));
}
