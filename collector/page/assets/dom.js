// Functions that create and update elements. Untrusted strings become only text or attributes,
// never HTML. Most elements that change every second are reused, and their content is never read
// back, because browsers are slow to free elements and the strings read from them.

const svgNames = "http://www.w3.org/2000/svg";

// el creates an HTML element with a class and children, which are elements or strings.
export function el(tag, className = "", ...children) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...children);
  return e;
}

// svg creates an SVG element with attributes and children.
export function svg(tag, attributes = {}, ...children) {
  const e = document.createElementNS(svgNames, tag);
  for (const [name, value] of Object.entries(attributes)) attribute(e, name, value);
  e.append(...children);
  return e;
}

// text sets the text of an element, if it differs. Nothing else may change that text.
export function text(e, value) {
  if (e.shown === value) return;
  e.shown = value;
  e.textContent = value;
}

// keep gives list n items. It removes items from the end, or adds items created by make, whose root it
// appends to parent.
export function keep(parent, list, n, make) {
  while (list.length > n) list.pop().root.remove();
  while (list.length < n) parent.append(list[list.push(make()) - 1].root);
}

// attribute sets an attribute, if it differs; undefined removes it. Nothing else may change it.
export function attribute(e, name, value) {
  e.given ??= new Map();
  if (e.given.get(name) === value) return;
  e.given.set(name, value);
  if (value === undefined) e.removeAttribute(name);
  else e.setAttribute(name, value);
}

// path returns the d attribute of a line through points, each [x, y], or null for a gap.
export function path(points) {
  let d = "", open = false;
  for (const p of points) {
    if (p) d += `${open ? "L" : "M"}${p[0].toFixed(1)} ${p[1].toFixed(1)}`;
    open = Boolean(p);
  }
  return d;
}
