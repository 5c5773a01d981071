// The page begins: theme, sizes, what is where; then everything waits for the user.

const peeking = { row: -1 };

/** Show the picture of a row beside the mouse, for as long as it rests on it. */
function peek(canvas, x, y, row) {
  peeking.row = row === state.row && canvas === at("view") ? -1 : row;
  const box = at("peek");
  box.hidden = peeking.row < 0;
  if (box.hidden) return;
  const place = canvas.getBoundingClientRect();
  const left = Math.min(Math.max(place.left + x - 84, 8), innerWidth - 176);
  const above = canvas === at("strip") ? place.top - 160 : place.top + y - 170;
  box.style.translate = `${left}px ${above < 8 ? place.top + y + 24 : above}px`;
  paintPeek();
}

function paintPeek() {
  if (peeking.row < 0) return;
  const box = at("peek");
  const { context, width, height } = surface(box.firstChild);
  context.clearRect(0, 0, width, height);
  drawPicture(context, peeking.row, 0, 0, width, height);
  const label = labelOf.get(peeking.row);
  box.lastChild.textContent = label ? clipped(label, 24) : timeOf(frames.stamp[peeking.row], 1);
}

function setView(view) {
  if (view === "map" && !figures.places.length) return;
  state.view = view;
  document.body.dataset.view = view;
  document.querySelector(`input[name=view][value=${view}]`).checked = true;
  const name = view === "map" ? "Map of the route" : "Pictures of the shown part of time";
  at("view").setAttribute("aria-label", name);
  remember();
  redraw();
}

function setColour(colour) {
  state.colour = colour;
  document.querySelector(`input[name=colour][value=${colour}]`).checked = true;
  paintLegend();
  remember();
  redraw();
}

function paintLegend() {
  const { context, width, height } = surface(at("ramp"));
  for (let k = 0; k < STEPS; k++) {
    context.fillStyle = theme[state.colour][k];
    context.fillRect((k * width) / STEPS, 0, width / STEPS + 1, height);
  }
  const byTime = state.colour === "time";
  at("ramp-low").textContent = byTime ? "first" : "unlike";
  at("ramp-high").textContent = byTime ? "last" : "like the chosen";
}

function retheme() {
  readTheme();
  colourGround();
  paintLegend();
  layer = null;
  redraw();
}

function begin() {
  readTheme();
  writeSummary();
  makeFilters();
  showTime(-axis.length, 2 * axis.length);
  if (!figures.places.length) at("views").hidden = true;
  recallAddress();
  setView(state.view);
  setColour(state.colour);
  painters.push(paintMap, paintFrames, paintPanel, paintStrip, paintPeek);
  listenToKeys();
  listenToView();
  listenToStrip();
  at("play").onclick = () => play(!state.playing);
  at("back").onclick = () => step(-1);
  at("on").onclick = () => step(1);
  const onTime = () => state.view === "frames";
  const zoom = (factor) =>
    onTime() ? zoomTime(factor, axis.at[state.row]) : zoomAtChosen(factor);
  at("closer").onclick = () => zoom(1.5);
  at("farther").onclick = () => zoom(1 / 1.5);
  at("fit").onclick = () => showAll(onTime());
  at("help").onclick = () => at("keys").showModal();
  at("search").oninput = search;
  at("search").onfocus = search;
  document.addEventListener("pointerdown", (event) => {
    if (!at("search-box").contains(event.target)) at("found").hidden = true;
    if (!at("filter").contains(event.target)) at("filter").open = false;
  });
  for (const input of document.querySelectorAll("input[name=view]")) {
    input.onchange = () => setView(input.value);
  }
  for (const input of document.querySelectorAll("input[name=colour]")) {
    input.onchange = () => setColour(input.value);
  }
  darkness.addEventListener("change", retheme);
  addEventListener("hashchange", recallAddress);
  document.addEventListener("readystatechange", redraw);
  const sizes = new ResizeObserver(() => {
    paintLegend();
    redraw();
  });
  for (const id of ["view", "strip", "picture"]) sizes.observe(at(id));
  readGround();
  redraw();
}

begin();
