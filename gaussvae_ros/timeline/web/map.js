// The map: the ground, the route, and frames as points, no more of them than can be told apart.

const map = { scale: 1, x: 0, y: 0, ready: false }; // px a metre, and the middle, m
const WEDGES = 1500; // frames whose heading is drawn, at most
const SPACING = 1.4; // px between two points that are both drawn
const groundCanvas = document.createElement("canvas");
let ground = null; // grey levels of the cells
let layer = null; // what was drawn of ground, route and points, and for what

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
  const room = [Math.max(width - 90, 40), Math.max(height - 130, 40)];
  const extent = [0, 1].map((k) => Math.max(high[k] - low[k], 0.5));
  map.scale = Math.min(room[0] / extent[0], room[1] / extent[1]);
  [map.x, map.y] = [0, 1].map((k) => (low[k] + high[k]) / 2);
  map.ready = true;
  redraw();
}

/** The shown rows that have a pose in the place that the map shows. */
function placedRows() {
  return state.rows.filter((row) => frames.place[row] === state.place);
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
 * several frames were taken at one spot, those after `row` come first. */
function rowOnMap(px, py, reach, row = -1) {
  const { width, height } = surface(at("view"));
  let [best, least] = [-1, reach * reach];
  for (const other of placedRows()) {
    const [x, y] = onMap(other, width, height);
    const away = (x - px) ** 2 + (y - py) ** 2 + (other === row ? 9 : 0);
    if (away < least) [best, least] = [other, away];
  }
  return best;
}

function paintMap() {
  if (state.view !== "map") return;
  const { context, width, height, ratio } = surface(at("view"));
  if (!map.ready) fitMap();
  const by = state.colour === "likeness" ? `${state.row}${Boolean(scoresOf(state.row))}` : "";
  const key = [width, height, ratio, map.scale, map.x, map.y, state.place, state.colour, by];
  key.push(darkness.matches, Boolean(ground), [...state.cameras], [...state.sessions]);
  if (layer?.key !== key.join()) {
    layer ||= { canvas: document.createElement("canvas") };
    layer.key = key.join();
    Object.assign(layer.canvas, { width: width * ratio, height: height * ratio });
    const below = layer.canvas.getContext("2d");
    below.setTransform(ratio, 0, 0, ratio, 0, 0);
    below.fillStyle = theme.paper;
    below.fillRect(0, 0, width, height);
    paintGround(below, width, height);
    const rows = placedRows();
    paintRoute(below, rows, width, height);
    paintPoints(below, rows, width, height);
    paintScale(below, height);
  }
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.drawImage(layer.canvas, 0, 0);
  context.restore();
  paintLabels(context, width, height);
  paintChosen(context, width, height);
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
function paintRoute(context, rows, width, height) {
  const [known, lost] = [new Path2D(), new Path2D()];
  const last = new Map();
  for (const row of rows) {
    const [x, y] = onMap(row, width, height);
    const before = last.get(frames.camera[row]);
    const joined = before && frames.session[before.row] === frames.session[row];
    if (!joined || secondsBetween(before.row, row) > axis.idle) {
      known.moveTo(x, y);
      if (joined && frames.missing[row]) lost.moveTo(before.x, before.y), lost.lineTo(x, y);
    } else if (frames.missing[row]) {
      lost.moveTo(before.x, before.y);
      lost.lineTo(x, y);
      known.moveTo(x, y);
    } else if (Math.hypot(x - before.x, y - before.y) < 1 && !frames.missing[row]) {
      before.row = row; // too near to be seen: the line goes on from where it was
      continue;
    } else {
      known.lineTo(x, y);
    }
    last.set(frames.camera[row], { row, x, y });
    if (figures.cameras.length > 1) known.moveTo(x, y);
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
function paintPoints(context, rows, width, height) {
  const across = Math.ceil(width / SPACING) + 1;
  const taken = new Int32Array(across * (Math.ceil(height / SPACING) + 1)).fill(-1);
  const cells = [];
  for (const row of rows) {
    const [x, y] = onMap(row, width, height);
    if (x < 0 || y < 0 || x >= width || y >= height) continue;
    const cell = Math.floor(y / SPACING) * across + Math.floor(x / SPACING);
    if (taken[cell] < 0) cells.push(cell);
    const better = state.colour === "likeness" && taken[cell] >= 0;
    if (!better || shadeOf(row) > shadeOf(taken[cell])) taken[cell] = row;
  }
  const drawn = cells.map((cell) => taken[cell]);
  const shades = new Map(drawn.map((row) => [row, shadeOf(row)]));
  if (state.colour === "likeness") drawn.sort((a, b) => shades.get(a) - shades.get(b));
  const apart = usualSpacing(drawn, width, height);
  const radius = Math.max(1.7, Math.min(4.5, 0.3 * apart));
  const heading = drawn.length <= WEDGES && apart > 13;
  for (const row of drawn) {
    const [x, y] = onMap(row, width, height);
    context.fillStyle = theme[state.colour][shades.get(row)];
    context.beginPath();
    if (heading) {
      const angle = headingOf(row);
      context.moveTo(x + 2.6 * radius * Math.cos(angle), y - 2.6 * radius * Math.sin(angle));
      context.arc(x, y, radius, 1.1 - angle, 2 * Math.PI - 1.1 - angle);
      context.closePath();
    } else context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
  }
}

/** The middle one of the distances, px, from each row to the next. */
function usualSpacing(rows, width, height) {
  const places = rows.slice(0, WEDGES).map((row) => onMap(row, width, height));
  const steps = places.slice(1).map(([x, y], k) => Math.hypot(x - places[k][0], y - places[k][1]));
  return steps.sort((a, b) => a - b)[steps.length >> 1] ?? 20;
}

/** rad, from x towards y, of the way that a frame's camera looks, seen from above. */
function headingOf(row) {
  const [x, y, z, w] = frames.turn.subarray(4 * row, 4 * row + 4);
  return Math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z));
}
