// The chosen frame: its picture, what the memory knows of it, and frames like it.

let described = null; // what the panel's text was written for
let alikeTimer = 0;

function paintPanel() {
  const { context, width, height } = surface(at("picture"));
  context.clearRect(0, 0, width, height);
  drawPicture(context, state.row, 0, 0, width, height);
  const by = [state.row, state.rows.length].join();
  if (described === by) return paintAlike();
  described = by;
  describeChosen(state.row);
  state.alike = null;
  clearTimeout(alikeTimer);
  alikeTimer = setTimeout(listAlike, state.playing ? 400 : 40);
}

function describeChosen(row) {
  const label = labelOf.get(row);
  const session = figures.sessions[frames.session[row]];
  const camera = figures.cameras[frames.camera[row]];
  const [w, h] = figures.sizes[frames.size[row]];
  at("picture-box").style.setProperty("--shape", `${w} / ${h}`);
  const shown = pictureRow[row];
  at("note").textContent = noteOn(row, shown);
  const facts = [
    ["Frame", String(frames.id[row])],
    ["Label", label],
    ["Read there", (textsOf.get(row) || []).join(", ")],
    ["Time", `${dayOf(frames.stamp[row])} ${timeOf(frames.stamp[row])}`.trim()],
    ["Stamp", `${frames.stamp[row]} ns`],
    ["Camera", camera],
    ["Coordinate frame", figures.frameIds[frames.frame_id[row]]],
    ["Session", session.name ? `${session.name} (${session.id})` : String(session.id)],
    ["Map", session.map],
    ...poseFacts(row),
    ["Size", `${w} × ${h} px, ${counted(frames.bytes[row], "byte")}`],
    ["Predicted from", Number.isNaN(frames.needs[row]) ? "" : frames.needs[row]],
    ["Before it", frames.missing[row] ? `${counted(frames.missing[row], "frame")} forgotten` : ""],
  ];
  const items = facts.filter(([, value]) => value !== "" && value !== undefined);
  at("facts").replaceChildren(...items.flatMap(([name, value]) => factOf(name, value)));
  const place = placeIn(state.rows, row) + 1;
  const spoken = [timeOf(frames.stamp[row], 1), `frame ${frames.id[row]}`, label];
  const text = spoken.filter(Boolean).join(", ");
  const slider = at("strip");
  slider.setAttribute("aria-valuemax", String(state.rows.length));
  slider.setAttribute("aria-valuenow", String(place));
  slider.setAttribute("aria-valuetext", text);
  at("picture").setAttribute("aria-label", `Picture of frame ${frames.id[row]}`);
  clearTimeout(describeChosen.timer);
  describeChosen.timer = setTimeout(() => (at("said").textContent = text), 600);
}

function factOf(name, value) {
  const shown = made("dd");
  const target = typeof value === "number" ? rowOfId.get(value) : undefined;
  if (target === undefined) shown.append(made("bdi", "", String(value)));
  else {
    const link = made("button", "link", `frame ${value}`);
    link.type = "button";
    link.onclick = () => choose(target);
    shown.append(link);
  }
  return [made("dt", "", name), shown];
}

function noteOn(row, shown) {
  if (shown < 0) return "This frame has no picture here: it could not be recalled.";
  if (shown === row) return "";
  const s = secondsBetween(row, shown);
  return `Picture of frame ${frames.id[shown]}, ${spanOf(s)} ${s < 0 ? "before" : "after"}`;
}

function poseFacts(row) {
  if (frames.place[row] === NONE) return [["Pose", "none"]];
  const at3 = frames.position.subarray(3 * row, 3 * row + 3);
  const degrees = Math.round((headingOf(row) * 180) / Math.PI) || 0; // no -0
  const where = Array.from(at3, (metres) => metres.toFixed(2)).join(", ");
  const { reference } = figures.places[frames.place[row]];
  return [
    ["Position", `${where} m in ${reference}`],
    ["Heading", `${degrees}°`],
  ];
}

function listAlike() {
  const row = state.row;
  const scores = scoresOf(row);
  if (!scores && document.readyState === "loading") {
    alikeTimer = setTimeout(listAlike, 100);
    return;
  }
  state.alike = alikeTo(row);
  const buttons = state.alike.map((other) => {
    const canvas = made("canvas");
    canvas.style.aspectRatio = pictureSize(other).join(" / ");
    canvas.setAttribute("aria-hidden", "true");
    const score = made("b", "", scores[other].toFixed(2));
    const button = made("button", "", "", canvas, score, made("span", "", whenOf(other, row)));
    button.type = "button";
    button.dataset.id = frames.id[other];
    const spoken = [`Frame ${frames.id[other]}`, labelOf.get(other)];
    spoken.push(`likeness ${scores[other].toFixed(2)}`, whenOf(other, row));
    button.setAttribute("aria-label", spoken.filter(Boolean).join(", "));
    button.onclick = () => choose(other);
    return button;
  });
  const none = scores
    ? "There is none that was taken at another time."
    : "It was stored without a descriptor.";
  at("alike").replaceChildren(...(buttons.length ? buttons : [made("p", "", none)]));
  redraw();
}

/** When a frame was taken, seen from another. */
function whenOf(row, from) {
  const far = frames.session[row] !== frames.session[from];
  const day = dayOf(frames.stamp[row]);
  if (far && day && day !== dayOf(frames.stamp[from])) return day;
  if (far) return timeOf(frames.stamp[row], 0);
  const s = secondsBetween(from, row);
  return `${spanOf(s)} ${s < 0 ? "before" : "after"}`;
}

function paintAlike() {
  for (const button of at("alike").querySelectorAll("button")) {
    const { context, width, height } = surface(button.firstChild);
    context.clearRect(0, 0, width, height);
    drawPicture(context, rowOfId.get(Number(button.dataset.id)), 0, 0, width, height);
  }
}
