// Keys, mouse and fingers.

function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches?.("input[type=search], select, dialog *");
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") return leave();
    if (typing) return inSearch(event);
    const action = actionOf(event);
    if (!action) return;
    event.preventDefault();
    action();
  });
}

function actionOf({ key, target }) {
  const onTime = target === at("strip") || state.view === "frames";
  const pages = Math.max(1, Math.round(windowRows().length / 100));
  const middle = axis.at[state.row];
  const zoom = (factor) => (onTime ? zoomTime(factor, middle) : zoomAtChosen(factor));
  const keys = {
    ArrowLeft: () => step(-1),
    ArrowRight: () => step(1),
    ArrowUp: () => stepCamera(-1),
    ArrowDown: () => stepCamera(1),
    PageUp: () => step(-pages),
    PageDown: () => step(pages),
    Home: () => step(-count),
    End: () => step(count),
    "+": () => zoom(1.5),
    "=": () => zoom(1.5),
    "-": () => zoom(1 / 1.5),
    0: () => showAll(onTime),
    "/": () => at("search").focus(),
    "?": () => at("keys").showModal(),
    m: () => setView(state.view === "map" ? "frames" : "map"),
    l: () => setColour(state.colour === "time" ? "likeness" : "time"),
  };
  if (key === " " && !target.matches?.("button, summary, input")) return () => play(!state.playing);
  if (key.startsWith("Arrow") && target.matches?.("input[type=radio]")) return null;
  return Object.hasOwn(keys, key) ? keys[key] : null;
}

function leave() {
  at("filter").open = false;
  if (!at("found").hidden || document.activeElement === at("search")) closeSearch();
}

/** The arrows go through what the search found, Enter takes the first. */
function inSearch(event) {
  if (event.target !== at("search")) return;
  const first = at("found").querySelector("button");
  if (event.key === "Enter") first?.click();
  if (event.key === "ArrowDown" && first) {
    event.preventDefault();
    first.focus();
  }
}

function zoomAtChosen(factor) {
  const { width, height } = surface(at("view"));
  const [x, y] = onMap(state.row, width, height);
  const seen = x > 0 && y > 0 && x < width && y < height;
  zoomMap(factor, ...(seen ? [x, y] : [width / 2, height / 2]));
}

function showAll(onTime) {
  if (onTime) showTime(-axis.length, 2 * axis.length);
  else fitMap();
}

/**
 * Tell of drags, pinches, wheels, clicks and hovers on a canvas, in its px: `drag(dx, dy, x, y)`,
 * `zoom(factor, x, y)`, `click(x, y)`, `hover(x, y)`, or `hover()` when the mouse leaves.
 */
function listenTo(canvas, { begin, drag, zoom, click, hover }) {
  const points = new Map();
  let moved = 0;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const spread = () => {
    const [a, b] = [...points.values()];
    return Math.hypot(a[0] - b[0], a[1] - b[1]) || 1;
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    points.set(event.pointerId, place(event));
    moved = points.size > 1 ? 99 : 0;
    hover();
    if (points.size === 1) begin?.(...place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    const now = place(event);
    const before = points.get(event.pointerId);
    if (!before) return event.pointerType === "mouse" ? hover(...now) : undefined;
    const apart = points.size === 2 ? spread() : 0;
    points.set(event.pointerId, now);
    const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
    moved += Math.hypot(dx, dy);
    if (apart) zoom(spread() / apart, ...middleOf(points));
    if (moved > 4) drag(dx / points.size, dy / points.size, ...now);
  });
  const end = (event) => {
    if (!points.delete(event.pointerId)) return;
    if (event.type === "pointerup" && moved <= 4) click(...place(event));
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("pointerleave", () => hover());
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const pixels = event.deltaY * (event.deltaMode ? 24 : 1);
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) drag(-event.deltaX, 0, ...place(event));
      else zoom(Math.exp(-Math.max(-120, Math.min(120, pixels)) / 300), ...place(event));
    },
    { passive: false }
  );
}

function middleOf(points) {
  const all = [...points.values()];
  return [0, 1].map((k) => all.reduce((sum, p) => sum + p[k], 0) / all.length);
}

function listenToView() {
  const rowAt = (x, y, after) =>
    state.view === "map" ? rowOnMap(x, y, 18, after) : rowOnSheet(x, y);
  listenTo(at("view"), {
    drag: (dx, dy) => {
      if (state.view === "map") moveMap(dx, dy);
      else slideTime(dx);
    },
    zoom: (factor, x, y) => {
      if (state.view === "map") zoomMap(factor, x, y);
      else zoomTime(factor, axis.at[state.row]);
    },
    click: (x, y) => choose(rowAt(x, y, state.row)),
    hover: (x, y) => peek(at("view"), x, y, x === undefined ? -1 : rowAt(x, y)),
  });
}

function listenToStrip() {
  const canvas = at("strip");
  const scrub = (x) => choose(nearestOnAxis(fromStrip(x), windowRows()));
  let panning = false;
  listenTo(canvas, {
    begin: (x, y) => {
      panning = y > canvas.clientHeight - 14 && state.to - state.from < 0.99 * axis.length;
      if (!panning) scrub(x);
    },
    drag: (dx, _, x) => {
      if (panning) slideTime((-dx * axis.length) / (state.to - state.from));
      else scrub(x);
    },
    zoom: (factor, x) => zoomTime(factor, fromStrip(x)),
    click: () => {},
    hover: (x, y) => {
      const row = x === undefined ? -1 : nearestOnAxis(fromStrip(x), windowRows());
      peek(canvas, x, y, row);
    },
  });
}

function slideTime(dx) {
  const by = (-dx / at("strip").clientWidth) * (state.to - state.from);
  showTime(state.from + by, state.to + by);
}
