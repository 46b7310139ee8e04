// What makes and changes elements. Text that is not ours goes through text() and nowhere else. What
// changes each second keeps its elements, and what they show is not read from them: elements, and
// strings that are read from them, are memory that the browser takes long to free.

const svgNames = "http://www.w3.org/2000/svg";

// el makes an element of HTML with a class and children, which are elements or texts.
export function el(tag, className = "", ...children) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...children);
  return e;
}

// svg makes an element of SVG with attributes and children.
export function svg(tag, attributes = {}, ...children) {
  const e = document.createElementNS(svgNames, tag);
  for (const [name, value] of Object.entries(attributes)) attribute(e, name, value);
  e.append(...children);
  return e;
}

// text sets the text of an element that nothing else changes, if it is another.
export function text(e, value) {
  if (e.shown === value) return;
  e.shown = value;
  e.textContent = value;
}

// keep makes a list n long: of what make makes, each with its root in parent.
export function keep(parent, list, n, make) {
  while (list.length > n) list.pop().root.remove();
  while (list.length < n) parent.append(list[list.push(make()) - 1].root);
}

// attribute sets an attribute that nothing else changes, if it is another; undefined removes it.
export function attribute(e, name, value) {
  e.given ??= new Map();
  if (e.given.get(name) === value) return;
  e.given.set(name, value);
  if (value === undefined) e.removeAttribute(name);
  else e.setAttribute(name, value);
}

// path returns the d of a line through points, each [x, y] or null for a gap.
export function path(points) {
  let d = "", open = false;
  for (const p of points) {
    if (p) d += `${open ? "L" : "M"}${p[0].toFixed(1)} ${p[1].toFixed(1)}`;
    open = Boolean(p);
  }
  return d;
}
