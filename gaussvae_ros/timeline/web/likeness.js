// How alike frames are: by the angle between their descriptors, as gaussvae_ros.likeness has it.

const ALIKE = 8; // frames that are shown as like the chosen one
const APART = 10; // s in a session, at most, within which a frame is not taken elsewhere in time

let descriptors = null;
let length = 0; // numbers of a descriptor
let lengths = null;
let scored = { row: -1, scores: null };

/** How like each row is to one, 0 to 1, below 0 without a descriptor; null where that cannot be
 * said (yet). */
function scoresOf(row) {
  if (scored.row === row && scored.scores) return scored.scores;
  if (!descriptors && !(descriptors = column("descriptor"))) return null;
  length = descriptors.length / count;
  lengths ||= measured(descriptors);
  if (!lengths[row]) return null;
  const scores = new Float32Array(count);
  const query = Float64Array.from(descriptors.subarray(row * length, (row + 1) * length));
  for (let other = 0, k = 0; other < count; other++) {
    let sum = 0;
    for (let n = 0; n < length; n++, k++) sum += query[n] * descriptors[k];
    const cosine = sum / Math.sqrt(lengths[row] * lengths[other]);
    const angle = Math.acos(Math.max(-1, Math.min(1, cosine)));
    scores[other] = lengths[other] ? Math.max(0, 1 - (angle * 2) / Math.PI) : -1;
  }
  scored = { row, scores };
  return scores;
}

function measured(values) {
  const found = new Float64Array(count);
  for (let row = 0, k = 0; row < count; row++) {
    for (let n = 0; n < length; n++, k++) found[row] += values[k] * values[k];
  }
  return found;
}

/** The rows most like one among those shown, each taken at another time, the likest first. */
function alikeTo(row) {
  const scores = scoresOf(row);
  if (!scores) return [];
  const found = [row];
  while (found.length <= ALIKE) {
    let best = -1;
    for (const other of state.rows) {
      if (scores[other] < 0 || (best >= 0 && scores[other] <= scores[best])) continue;
      if (found.every((taken) => elsewhere(taken, other))) best = other;
    }
    if (best < 0) break;
    found.push(best);
  }
  return found.slice(1);
}

function elsewhere(a, b) {
  if (frames.session[a] !== frames.session[b]) return true;
  const apart = Math.min(APART, 0.1 * sessionSeconds(frames.session[a]));
  return Math.abs(secondsBetween(a, b)) > apart;
}

const sessionSpans = new Map();

function sessionSeconds(session) {
  if (!sessionSpans.size) {
    axis.begins.forEach((first, k) => {
      const last = (axis.begins[k + 1] || count) - 1;
      sessionSpans.set(frames.session[first], secondsBetween(first, last));
    });
  }
  return sessionSpans.get(session);
}
