// Functions that format numbers for display. An absent number is shown as a dash, never as 0.

export const absent = "–";

const known = (v) => typeof v === "number";

function digits(v) {
  return String(v >= 100 ? Math.round(v) : Number(v.toPrecision(v < 10 ? 2 : 3)));
}

export function seconds(v) {
  if (!known(v)) return absent;
  if (v === 0) return "0 s";
  if (v < 0.0009995) return `${digits(v * 1e6)} µs`;
  if (v < 0.9995) return `${digits(v * 1e3)} ms`;
  if (v < 99.5) return `${digits(v)} s`;
  if (v < 5970) return `${Math.floor(v / 60)} m ${Math.round(v % 60)} s`;
  return `${(v / 3600).toFixed(1)} h`;
}

export function count(v) {
  if (!known(v)) return absent;
  if (v >= 1e6) return `${digits(v / 1e6)} M`;
  if (v >= 1e4) return `${digits(v / 1e3)} k`;
  return Number.isInteger(v) ? String(v) : digits(v);
}

export function rate(v) {
  return known(v) ? `${count(v)}/s` : absent;
}

export function percent(v) {
  if (!known(v)) return absent;
  const p = 100 * v;
  return `${p > 0 && p < 9.95 ? p.toFixed(1) : Math.round(p)} %`;
}

export function bytes(v) {
  if (!known(v)) return absent;
  for (const unit of ["B", "KiB", "MiB"]) {
    if (v < 1024) return `${digits(v)} ${unit}`;
    v /= 1024;
  }
  return `${digits(v)} GiB`;
}
