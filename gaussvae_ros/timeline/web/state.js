// What is shown now, and how it changes: each change draws the page again, once a frame at most.

const state = {
  row: 0, // the chosen one
  rows: axisRows, // those of the cameras and sessions that are shown
  view: "map", // or "frames"
  colour: "time", // or "likeness"
  cameras: new Set(figures.cameras.keys()),
  sessions: new Set(figures.sessions.keys()),
  place: commonPlace(), // of the poses that the map shows
  from: 0, // what is shown of the axis
  to: 0,
  playing: false,
};

const painters = []; // what draws a part of the page
let asked = false;

/** Draw all again before the next picture of the screen. */
function redraw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    wanted.clear(); // what is seen no more is not read for it
    for (const paint of painters) paint();
  });
}

/** The map and coordinate frame that most poses are in. */
function commonPlace() {
  const counts = figures.places.map(() => 0);
  for (const place of frames.place) if (place !== NONE) counts[place]++;
  return counts.indexOf(Math.max(...counts));
}

/** Choose a row, and bring it into what is shown of the axis. */
function choose(row) {
  if (row < 0 || row >= count) return;
  state.row = row;
  const at = axis.at[row];
  const span = state.to - state.from;
  if (at < state.from || at > state.to) showTime(at - span / 2, at + span / 2);
  remember();
  redraw();
}

/** Choose the row `step` further among those shown, or the first or last of them. */
function step(steps) {
  const rows = state.rows;
  if (!rows.length) return;
  let place = placeIn(rows, state.row);
  if (rows[place] !== state.row && steps > 0) place--;
  choose(rows[Math.max(0, Math.min(rows.length - 1, place + steps))]);
}

/** Whether a row is one of a camera and session that are shown. */
function isShown(row) {
  return state.rows[placeIn(state.rows, row)] === row;
}

/** The frame nearest in time of the next camera that is shown. */
function stepCamera(steps) {
  const cameras = [...state.cameras].sort((a, b) => a - b);
  const place = cameras.indexOf(frames.camera[state.row]);
  if (cameras.length < 2) return;
  const camera = cameras[(place + steps + cameras.length) % cameras.length];
  const rows = state.rows.filter((row) => frames.camera[row] === camera);
  choose(nearestOnAxis(axis.at[state.row], rows));
}

/** Show a part of the axis, kept within its ends and no less than some frames long. */
function showTime(from, to) {
  const margin = 0.01 * axis.length;
  const [low, high] = [-margin, axis.length + margin];
  const span = Math.max(Math.min(to - from, high - low), Math.min(8 * axis.usual, high - low));
  const middle = (from + to) / 2;
  const begin = Math.max(low, Math.min(middle - span / 2, high - span));
  Object.assign(state, { from: begin, to: begin + span });
  redraw();
}

/** Zoom the axis around a place on it. */
function zoomTime(factor, place) {
  const part = (place - state.from) / (state.to - state.from);
  const span = (state.to - state.from) / factor;
  showTime(place - part * span, place + (1 - part) * span);
}

/** Show only frames of the cameras and sessions that are switched on. */
function filter() {
  const all = state.cameras.size === figures.cameras.length;
  const every = state.sessions.size === figures.sessions.length;
  state.rows =
    all && every
      ? axisRows
      : axisRows.filter(
          (row) => state.cameras.has(frames.camera[row]) && state.sessions.has(frames.session[row])
        );
  if (state.rows.length && !isShown(state.row)) {
    choose(nearestOnAxis(axis.at[state.row], state.rows));
  }
  redraw();
}

/** Keep the chosen frame, view and colour in the address, so that a link leads back to them. */
function remember() {
  clearTimeout(remember.timer);
  remember.timer = setTimeout(() => {
    const facts = { frame: frames.id[state.row], view: state.view, colour: state.colour };
    try {
      history.replaceState(null, "", `#${new URLSearchParams(facts)}`);
    } catch {
      // a browser that allows no address for a local file
    }
  }, 300);
}

/** Take them from the address. */
function recallAddress() {
  const facts = new URLSearchParams(location.hash.slice(1));
  const row = rowOfId.get(Number(facts.get("frame")));
  if (figures.places.length === 0 || facts.get("view") === "frames") state.view = "frames";
  if (facts.get("colour") === "likeness") state.colour = "likeness";
  if (row !== undefined) choose(row);
}
