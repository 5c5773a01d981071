// Pictures side by side: frames of the shown part of time, all of them or evenly chosen ones.

const sheet = { cells: [] }; // what is drawn where: [{row, x, y, w, h}]
const CELL = 150; // px, about
const BELOW = 50; // px, for the buttons

function paintFrames() {
  if (state.view !== "frames") return;
  const { context, width, height } = surface(at("view"));
  context.fillStyle = theme.paper;
  context.fillRect(0, 0, width, height);
  const top = 58;
  const columns = Math.max(3, Math.round((width - 24) / CELL));
  const w = (width - 24 - 8 * (columns - 1)) / columns;
  const [pw, ph] = pictureSize(state.row);
  const h = Math.min((w * ph) / pw, height - top - 30);
  const lines = Math.max(1, Math.floor((height - top - BELOW) / (h + 24)));
  const rows = evenly(windowRows(), columns * lines);
  sheet.cells = rows.map((row, k) => ({
    row,
    x: 12 + (k % columns) * (w + 8),
    y: top + Math.floor(k / columns) * (h + 24),
    w,
    h,
  }));
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "alphabetic";
  let chosen = null;
  for (const cell of sheet.cells) {
    drawPicture(context, cell.row, cell.x, cell.y, cell.w, cell.h);
    context.fillStyle = theme[state.colour][shadeOf(cell.row)];
    context.fillRect(cell.x, cell.y + h + 2, cell.w, 2);
    context.fillStyle = labelOf.has(cell.row) ? theme.ink : theme.soft;
    const label = labelOf.get(cell.row);
    const text = label ? clipped(label, Math.floor(w / 7)) : timeOf(frames.stamp[cell.row], 1);
    context.fillText(text, cell.x, cell.y + h + 16);
    if (cell.row <= state.row && axis.at[state.row] <= state.to) chosen = cell;
  }
  if (!chosen) return;
  context.strokeStyle = theme.accent;
  context.lineWidth = 2.5;
  context.strokeRect(chosen.x - 1, chosen.y - 1, chosen.w + 2, chosen.h + 2);
}

/** The shown rows in the shown part of the axis. */
function windowRows() {
  const rows = state.rows;
  return rows.subarray(placeOnAxis(state.from, rows), placeOnAxis(state.to, rows));
}

/** At most so many of the rows, evenly spread. */
function evenly(rows, most) {
  if (rows.length <= most) return Array.from(rows);
  return Array.from({ length: most }, (_, k) => rows[Math.floor(((k + 0.5) * rows.length) / most)]);
}

/** The row whose picture is at a point of the view; -1 where there is none. */
function rowOnSheet(px, py) {
  const inside = ({ x, y, w, h }) => px >= x && px <= x + w && py >= y && py <= y + h + 18;
  return sheet.cells.find(inside)?.row ?? -1;
}
