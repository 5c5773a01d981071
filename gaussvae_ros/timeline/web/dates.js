// Stamps, spans of time and numbers as text.

const SECOND = 1000000000n; // ns
const CALENDAR = 100000000000000000n; // ns; stamps below (1973) are those of a simulation

function pad(number, length = 2) {
  return String(number).padStart(length, "0");
}

/** Whether a stamp, ns, is a time of the calendar. */
function isDate(stamp) {
  return stamp >= CALENDAR && stamp < 8n * 10n ** 18n;
}

/** The day of a stamp, ns, such as 2026-03-04 (UTC); empty for that of a simulation. */
function dayOf(stamp) {
  return isDate(stamp) ? new Date(Number(stamp / 1000000n)).toISOString().slice(0, 10) : "";
}

/** The time of a stamp, ns, with so many decimals of a second: 10:05:07.250 (UTC), or 12.250 s. */
function timeOf(stamp, decimals = 3) {
  if (!isDate(stamp)) return `${(Number(stamp) / 1e9).toFixed(decimals)} s`;
  const text = new Date(Number(stamp / 1000000n)).toISOString();
  return decimals ? text.slice(11, 20 + decimals) : text.slice(11, 19);
}

/** Seconds in words: 0.4 s, 12 s, 3:05 min, 2:10 h, 5 days. */
function spanOf(seconds) {
  const s = Math.abs(seconds);
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 100) return `${s.toFixed(0)} s`;
  if (s < 3600) return `${Math.floor(s / 60)}:${pad(Math.floor(s % 60))} min`;
  if (s < 172800) return `${Math.floor(s / 3600)}:${pad(Math.floor((s % 3600) / 60))} h`;
  return `${Math.round(s / 86400)} days`;
}

/** A whole number with thousands: 12,345. */
function whole(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** A count and its noun: 1 frame, 2 frames. */
function counted(number, noun) {
  return `${whole(number)} ${noun}${number === 1 ? "" : "s"}`;
}
