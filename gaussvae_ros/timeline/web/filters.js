// What is in the head of the page: the summary, the search for words, cameras and sessions.

const FOUND = 40; // labels and texts that are listed, at most

function writeSummary() {
  at("title").append(made("bdi", "", figures.title));
  let forgotten = 0;
  for (const missing of frames.missing) forgotten += missing;
  const [first, last] = [0, count - 1].map((row) => dayOf(frames.stamp[row]));
  const parts = [counted(count, "frame"), counted(figures.sessions.length, "session")];
  if (figures.cameras.length > 1) parts.push(counted(figures.cameras.length, "camera"));
  if (first) parts.push(first === last ? first : `${first} to ${last}`);
  if (forgotten) parts.push(`${whole(forgotten)} forgotten`);
  at("summary").textContent = parts.join(" · ");
  const about = ["Times are UTC, silences are cut short, sessions follow one another."];
  if (figures.step > 1) {
    about.push(`Each ${figures.step}th frame of a camera has a picture; others show the nearest.`);
  }
  if (forgotten) {
    about.push("Dashed on the map and marked below the bars: frames between were forgotten.");
  }
  if (figures.firstId > 1) about.push(`The file has no frame before ${figures.firstId}.`);
  if (figures.failed.length) {
    about.push(`${counted(figures.failed.length, "frame")} could not be recalled.`);
  }
  const { unlike } = figures;
  about.push(`Likeness is 1 for the same picture and about ${unlike} for an unrelated one.`);
  at("about").textContent = about.join(" ");
}

function makeFilters() {
  const sessions = figures.sessions.map(({ id, name, map: of }) =>
    [name || `session ${id}`, of && `in ${of}`].filter(Boolean).join(", ")
  );
  addChoices("cameras", figures.cameras, state.cameras);
  addChoices("sessions", sessions, state.sessions);
  const few = figures.cameras.length < 2 && figures.sessions.length < 2;
  at("filter").hidden = few && figures.places.length < 2;
  at("place-box").hidden = figures.places.length < 2;
  figures.places.forEach(({ map: of, reference }, k) => {
    const option = made("option", "", of ? `${reference} of map ${of}` : reference);
    option.value = String(k);
    at("place").append(option);
  });
  at("place").value = String(state.place);
  at("place").onchange = () => {
    state.place = Number(at("place").value);
    fitMap();
  };
}

function addChoices(id, names, chosen) {
  at(id).hidden = names.length < 2;
  names.forEach((name, k) => {
    const box = made("input");
    Object.assign(box, { type: "checkbox", checked: true });
    box.onchange = () => {
      if (box.checked) chosen.add(k);
      else chosen.delete(k);
      const off = figures.cameras.length - state.cameras.size;
      const out = figures.sessions.length - state.sessions.size;
      at("filtered").textContent = off + out ? ` (${off + out} off)` : "";
      filter();
    };
    at(id).append(made("label", "", "", box, made("bdi", "", name)));
  });
}

/** List the labels and what was read that contain what is typed, and the frame whose id it is. */
function search() {
  const text = at("search").value.trim().toLocaleLowerCase();
  const found = [];
  const row = /^#?\d+$/.test(text) ? rowOfId.get(Number(text.replace("#", ""))) : undefined;
  if (row !== undefined) found.push([row, `frame ${frames.id[row]}`]);
  for (const [place, words] of [...figures.labels, ...(text ? figures.texts : [])]) {
    if (found.length >= FOUND) break;
    if (words.toLocaleLowerCase().includes(text)) found.push([place, words]);
  }
  const items = found.map(([place, name]) => {
    const when = `${dayOf(frames.stamp[place])} ${timeOf(frames.stamp[place], 0)}`.trim();
    const button = made("button", "", "", made("bdi", "", name), made("small", "", when));
    button.type = "button";
    button.onclick = () => {
      choose(place);
      closeSearch();
    };
    return made("li", "", "", button);
  });
  const any = figures.labels.length + figures.texts.length;
  const read = figures.texts.length ? ", and nothing that was read" : "";
  const none = any ? `No label has that in it${read}` : "No frame has a label";
  at("found").replaceChildren(...(items.length ? items : [made("li", "none", none)]));
  at("found").hidden = document.activeElement !== at("search") && !items.length;
}

function closeSearch() {
  at("found").hidden = true;
  at("search").value = "";
  at("view").focus({ preventScroll: true });
}
