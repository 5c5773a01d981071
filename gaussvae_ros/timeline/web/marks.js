// What is drawn over the map: the chosen frame, those like it, labels, and the scale.

const FIELD = 0.6; // rad to each side of the way that the chosen camera looks

function paintChosen(context, width, height) {
  for (const row of state.alike || []) {
    if (frames.place[row] !== state.place) continue;
    const [x, y] = onMap(row, width, height);
    ring(context, x, y, 7, theme.accent, 1.5);
  }
  if (frames.place[state.row] !== state.place) return;
  const [x, y] = onMap(state.row, width, height);
  const angle = headingOf(state.row);
  const glow = context.createRadialGradient(x, y, 0, x, y, 46);
  glow.addColorStop(0, `${theme.accent}99`);
  glow.addColorStop(1, `${theme.accent}00`);
  context.fillStyle = glow;
  context.beginPath();
  context.moveTo(x, y);
  context.arc(x, y, 46, -angle - FIELD, -angle + FIELD);
  context.closePath();
  context.fill();
  context.fillStyle = theme.accent;
  context.beginPath();
  context.arc(x, y, 5.5, 0, 2 * Math.PI);
  context.fill();
  ring(context, x, y, 5.5, theme.card, 2);
}

function ring(context, x, y, radius, colour, width) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.stroke();
}

/** Labels beside their frames, as long as they do not cover each other. */
function paintLabels(context, width, height) {
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "middle";
  const boxes = [];
  for (const [row, label] of figures.labels) {
    if (frames.place[row] !== state.place || !isShown(row)) continue;
    const [x, y] = onMap(row, width, height);
    if (x < -200 || y < 0 || x > width || y > height) continue;
    context.fillStyle = theme.ink;
    context.beginPath();
    context.arc(x, y, 3.5, 0, 2 * Math.PI);
    context.fill();
    ring(context, x, y, 3.5, theme.card, 1.5);
    const text = clipped(label, 32);
    const box = [x + 9, y - 9, x + 21 + context.measureText(text).width, y + 9];
    const apart = (b) => b[0] > box[2] || b[2] < box[0] || b[1] > box[3] || b[3] < box[1];
    if (!boxes.every(apart) || boxes.length > 60) continue;
    boxes.push(box);
    context.fillStyle = `${theme.card}e6`;
    context.beginPath();
    context.roundRect(box[0], box[1], box[2] - box[0], box[3] - box[1], 9);
    context.fill();
    context.fillStyle = theme.ink;
    context.fillText(text, x + 15, y + 0.5);
  }
}

/** The first letters of a text. */
function clipped(text, most) {
  const letters = [...text];
  return letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : text;
}

/** A bar of a round length. */
function paintScale(context, height) {
  const wished = 110 / map.scale;
  const power = 10 ** Math.floor(Math.log10(wished));
  const length = [5, 2, 1].map((k) => k * power).find((metres) => metres <= wished) || power;
  const [x, y, w] = [24, height - 20, length * map.scale];
  const small = length < 1 ? `${Math.round(length * 1000) / 10} cm` : `${length} m`;
  const text = length >= 1000 ? `${length / 1000} km` : small;
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "alphabetic";
  context.fillStyle = `${theme.card}d9`;
  context.beginPath();
  context.roundRect(x - 8, y - 14, w + context.measureText(text).width + 24, 22, 9);
  context.fill();
  context.strokeStyle = theme.soft;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x + 0.5, y - 4);
  context.lineTo(x + 0.5, y + 0.5);
  context.lineTo(x + w + 0.5, y + 0.5);
  context.lineTo(x + w + 0.5, y - 4);
  context.stroke();
  context.fillStyle = theme.soft;
  context.fillText(text, x + w + 7, y + 1);
}
