// What makes elements. Text that is not ours goes through text() and nowhere else.

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
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  e.append(...children);
  return e;
}

// text sets an element's text, if it is another.
export function text(e, value) {
  if (e.textContent !== value) e.textContent = value;
}

// attribute sets an attribute, if it is another; undefined removes it.
export function attribute(e, name, value) {
  if (value === undefined) e.removeAttribute(name);
  else if (e.getAttribute(name) !== String(value)) e.setAttribute(name, value);
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
