// The axis of time: sessions one after another, each by its stamps, long silences cut short.

const axisRows = Uint32Array.from({ length: count }, (_, row) => row);
const seconds = Float64Array.from(frames.stamp, (stamp) => Number(stamp - frames.stamp[0]) / 1e9);
const axis = makeAxis();

/**
 * Where each row is on the axis, in seconds that are shown (`at`, ascending) and as a part of the
 * whole (`part`); the rows where sessions begin (`begins`), and where there is a silence or a new
 * session before a row (`runs`); what a silence is cut to (`idle`, s), and the usual step.
 */
function makeAxis() {
  const same = (row) => row > 0 && frames.session[row] === frames.session[row - 1];
  const steps = axisRows.filter(same).map((row) => 1000 * secondsBetween(row - 1, row));
  steps.sort();
  const usual = Math.max(steps.length ? steps[steps.length >> 1] / 1000 : 1, 1e-3);
  const idle = Math.max(20 * usual, 2);
  const begins = axisRows.filter((row) => !same(row));
  const runs = axisRows.filter((row) => !same(row) || secondsBetween(row - 1, row) > idle);
  let shown = 0;
  for (let row = 1; row < count; row++) {
    if (same(row)) shown += Math.min(secondsBetween(row - 1, row), idle);
  }
  const apart = Math.max(0.012 * shown, 2 * usual); // between sessions
  const at = new Float64Array(count);
  for (let row = 1; row < count; row++) {
    at[row] = at[row - 1] + (same(row) ? Math.min(secondsBetween(row - 1, row), idle) : apart);
  }
  const length = Math.max(at[count - 1], 1e-3);
  return { at, part: Float32Array.from(at, (s) => s / length), begins, runs, length, idle, usual };
}

function secondsBetween(a, b) {
  return seconds[b] - seconds[a];
}

/** The row of an ascending list nearest to a place on the axis; -1 where there are none. */
function nearestOnAxis(place, rows) {
  const after = placeOnAxis(place, rows);
  if (!rows.length) return -1;
  if (after === 0 || after === rows.length) return rows[Math.max(0, after - 1)];
  const [a, b] = [rows[after - 1], rows[after]];
  return place - axis.at[a] <= axis.at[b] - place ? a : b;
}

/** How many of an ascending list of rows are before a place on the axis. */
function placeOnAxis(place, rows) {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (axis.at[rows[middle]] < place) low = middle + 1;
    else high = middle;
  }
  return low;
}

const TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600];

/** Round times, or those of beginnings, on a part of the axis that is `width` px wide, `apart` px
 * or more from each other: [{place, day, text}]. */
function ticksOf(from, to, width, apart) {
  const pixel = (to - from) / width;
  const every = TICKS.find((s) => s / pixel >= apart) || 43200;
  const ns = BigInt(Math.round(every * 1e9));
  const ticks = [];
  const offer = (place, time, step) => {
    const near = ticks.length && (place - ticks[ticks.length - 1].place) / pixel < apart;
    if (place < from || near) return;
    const text = timeOf(time, step && step < 1 ? 1 : 0);
    const whole = step >= 60 && isDate(time); // minutes
    ticks.push({ place, day: dayOf(time), text: whole ? text.slice(0, 5) : text });
  };
  const begin = Math.max(0, placeOnAxis(from, axis.runs) - 1);
  for (let k = begin; k < axis.runs.length && axis.at[axis.runs[k]] <= to; k++) {
    const first = axis.runs[k];
    const last = (axis.runs[k + 1] ?? count) - 1;
    if ((axis.at[last] - axis.at[first]) / pixel < apart / 2) {
      offer(axis.at[first], frames.stamp[first], 0);
      continue;
    }
    const skipped = Math.max(0, Math.floor((from - axis.at[first]) / every));
    let time = (frames.stamp[first] / ns + BigInt(skipped)) * ns;
    for (; time <= frames.stamp[last]; time += ns) {
      const place = axis.at[first] + Number(time - frames.stamp[first]) / 1e9;
      if (place > to) break;
      if (place >= axis.at[first]) offer(place, time, every);
    }
  }
  return ticks;
}
