// The colours of the page's theme, and ramps from one to another.

const RAMPS = {
  light: {
    time: ["#3a4f9b", "#2f7fa6", "#3c9f83", "#b39a3a", "#d0743c"],
    likeness: ["#d3d6da", "#c3cbd3", "#93b4cf", "#4c86bf", "#17539e"],
  },
  dark: {
    time: ["#7d95ea", "#56b3d2", "#66caa0", "#d9c65f", "#f09c63"],
    likeness: ["#2f353e", "#3a434e", "#4a6f92", "#6aa5dd", "#b5dcff"],
  },
};
const STEPS = 64; // colours of a ramp

const darkness = matchMedia("(prefers-color-scheme: dark)");
let theme = {};

/** Read the theme again: names of CSS variables, and both ramps as lists of colours. */
function readTheme() {
  const style = getComputedStyle(document.documentElement);
  theme = {};
  for (const name of ["paper", "card", "ink", "soft", "line", "accent", "wall", "floor", "lost"]) {
    theme[name] = style.getPropertyValue(`--${name}`).trim();
  }
  for (const [name, stops] of Object.entries(RAMPS[darkness.matches ? "dark" : "light"])) {
    theme[name] = Array.from({ length: STEPS }, (_, k) => between(stops, k / (STEPS - 1)));
  }
}

function channels(colour) {
  return [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16));
}

function between(stops, part) {
  const at = Math.min(part * (stops.length - 1), stops.length - 1.000001);
  const [a, b] = [channels(stops[Math.floor(at)]), channels(stops[Math.floor(at) + 1])];
  const mixed = a.map((v, k) => Math.round(v + (b[k] - v) * (at % 1)));
  return `rgb(${mixed.join(",")})`;
}

/** Which colour of its ramp, 0 to STEPS - 1, a row has now. */
function shadeOf(row) {
  const part = state.colour === "likeness" ? likenessPart(row) : axis.part[row];
  return Math.max(0, Math.min(STEPS - 1, Math.floor(part * STEPS)));
}

function likenessPart(row) {
  const scores = scoresOf(state.row);
  const { unlike } = figures; // likeness of two unrelated pictures: the ramp begins here
  return scores ? (scores[row] - unlike) / (1 - unlike) : 0;
}

/** A canvas as sharp as the screen: its context, in CSS px, and its width and height. */
function surface(canvas) {
  const ratio = Math.min(devicePixelRatio || 1, 2.5);
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.imageSmoothingQuality = "high";
  return { context, width, height, ratio };
}
