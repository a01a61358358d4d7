// A line chart in an SVG that fills its box; pointer and arrow keys read values off it into `output`.
// lines: [{x, y, kind: "raw", "mean" or "held"}], x ascending; read(i): the words at point i of the first line.
"use strict";

function chart(svg, output, lines, read) {
  const NS = "http://www.w3.org/2000/svg", box = { left: 46, right: 12, top: 8, bottom: 26 };
  const width = svg.clientWidth || 480, height = svg.clientHeight || 220;
  const main = lines[0];
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren();
  const put = (name, attributes, text) => {
    const node = document.createElementNS(NS, name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    svg.append(node);
    return node;
  };
  if (!main.x.length) { put("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, "nothing yet"); output.textContent = ""; return; }
  // Raw values may leave the frame: one bad step must not flatten the rest.
  const inside = lines.filter(line => line.kind !== "raw").flatMap(line => line.y);
  let low = Math.min(...inside), high = Math.max(...inside);
  if (high - low < 1e-9) { low -= Math.abs(low) * .1 + .1; high += Math.abs(high) * .1 + .1; }
  const pad = .06 * (high - low); low -= pad; high += pad;
  const first = Math.min(main.x[0], 0), last = Math.max(...lines.map(line => line.x.at(-1) ?? 0), first + 1);
  const X = x => box.left + (x - first) / (last - first) * (width - box.left - box.right);
  const Y = y => height - box.bottom - (y - low) / (high - low) * (height - box.top - box.bottom);
  const ticks = (from, to, most) => {
    const raw = (to - from) / most, ten = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].find(k => k * ten >= raw) * ten, marks = [];
    for (let k = Math.ceil(from / step); k * step <= to; k++) marks.push(+(k * step).toPrecision(10));
    return marks;
  };
  for (const y of ticks(low, high, 4)) {
    put("path", { d: `M${box.left} ${Y(y)}H${width - box.right}`, class: "grid" });
    put("text", { x: box.left - 7, y: Y(y) + 4, "text-anchor": "end" }, y.toLocaleString("en", { maximumFractionDigits: 4 }));
  }
  for (const x of ticks(first, last, Math.max(2, width / 110)).filter(Number.isInteger))
    put("text", { x: X(x), y: height - 7, "text-anchor": "middle" }, x === 0 ? "step 0" : x.toLocaleString("en"));
  const clip = `${svg.id}-clip`, area = put("clipPath", { id: clip });
  area.append(Object.assign(document.createElementNS(NS, "rect")));
  for (const [key, value] of Object.entries({ x: box.left, y: box.top, width: width - box.left - box.right + 6, height: height - box.top - box.bottom }))
    area.firstChild.setAttribute(key, value);
  for (const line of lines) {
    const points = line.x.map((x, i) => `${X(x).toFixed(1)},${Y(line.y[i]).toFixed(1)}`);
    put("polyline", { points: points.join(" "), class: line.kind, "clip-path": `url(#${clip})` });
    if (line.kind === "held") line.x.forEach((x, i) => put("circle", { cx: X(x), cy: Y(line.y[i]), r: 3, class: "held" }));
  }
  const cross = put("path", { class: "cross" });
  const at = i => {
    svg.dataset.at = i;
    cross.setAttribute("d", `M${X(main.x[i])} ${box.top}V${height - box.bottom}`);
    output.textContent = read(i);
  };
  const leave = () => { delete svg.dataset.at; cross.setAttribute("d", ""); output.textContent = read(main.x.length - 1); };
  const nearest = e => {
    const x = first + (e.offsetX - box.left) / (width - box.left - box.right) * (last - first);
    return main.x.reduce((best, value, i) => Math.abs(value - x) < Math.abs(main.x[best] - x) ? i : best, 0);
  };
  svg.onpointermove = e => at(nearest(e));
  svg.onpointerleave = svg.onblur = leave;
  svg.onkeydown = e => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
    if (!step) return;
    e.preventDefault();
    at(Math.min(main.x.length - 1, Math.max(0, Number(svg.dataset.at ?? main.x.length - 1) + step)));
  };
  if (svg.dataset.at !== undefined && svg.dataset.at < main.x.length) at(Number(svg.dataset.at)); else leave();
}

// Exponential average without a bias towards its first value.
function smooth(values, weight = .9) {
  let sum = 0, norm = 0;
  return values.map(value => { sum = weight * sum + (1 - weight) * value; norm = weight * norm + 1 - weight; return sum / norm; });
}
