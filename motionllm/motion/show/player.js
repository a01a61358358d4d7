// A moving figure on a canvas: drag or arrow keys turn it, space pauses. CLIPS: [{fps, joints: whole millimetres}].
// A .player box holds canvas, button and .time, and names its clip by data-clip, or waits for it by data-source.
"use strict";
const CLIPS = JSON.parse(document.getElementById("clips").textContent);
// [from, to, side, width in metres] of the 22 joints; the trunk is one shape.
const LIMBS = [
  [1, 4, "left", .095], [4, 7, "left", .078], [7, 10, "left", .062], [16, 18, "left", .07], [18, 20, "left", .056],
  [2, 5, "right", .095], [5, 8, "right", .078], [8, 11, "right", .062], [17, 19, "right", .07], [19, 21, "right", .056]];
const TRUNK = [[0, 3], [3, 6], [6, 9], [1, 2], [1, 3], [2, 3], [16, 17], [16, 6], [17, 6], [9, 12], [12, 15]];
const CHEST = [16, 17, 2, 1], REACH = 2.6, TILE = .5;
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
let colours = {};
function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["paper", "card", "ink", "soft", "line", "tile", "left", "right", "body", "shadow"])
    colours[name] = style.getPropertyValue("--" + name).trim();
}
function mix(a, b, w) {
  const part = (c, i) => parseInt(c.slice(1 + 2 * i, 3 + 2 * i), 16);
  return "rgb(" + [0, 1, 2].map(i => Math.round(part(a, i) + (part(b, i) - part(a, i)) * w)).join(",") + ")";
}

class Player {
  constructor(box) {
    const { fps, joints } = CLIPS[box.dataset.clip];
    this.box = box; this.fps = fps; this.joints = joints; this.frames = joints.length / 66;
    this.canvas = box.querySelector("canvas"); this.button = box.querySelector("button"); this.time = box.querySelector(".time");
    this.floor = Infinity; this.top = 0;
    for (let i = 1; i < joints.length; i += 3) { this.floor = Math.min(this.floor, joints[i]); this.top = Math.max(this.top, joints[i]); }
    this.camera = this.smooth();
    const across = k => joints[3 + k] - joints[6 + k] + joints[48 + k] - joints[51 + k];
    // From in front of the first pose and to its side; begun in the midst, where something is to be seen.
    this.turn = Math.atan2(-across(2), across(0)) - .68; this.tilt = .26;
    this.now = .4 * this.frames / fps; this.paused = still; this.seen = false;
    box.classList.toggle("paused", still);
    this.button.onclick = () => this.toggle();
    let from = null;
    this.canvas.onpointerdown = e => { from = [e.clientX, e.clientY]; this.canvas.setPointerCapture(e.pointerId); };
    this.canvas.onpointermove = e => {
      if (!from) return;
      this.look(-(e.clientX - from[0]) * .01, e.pointerType === "mouse" ? (e.clientY - from[1]) * .006 : 0);
      from = [e.clientX, e.clientY];
    };
    this.canvas.onpointerup = this.canvas.onpointercancel = () => { from = null; };
    this.canvas.onkeydown = e => {
      const turns = { ArrowLeft: [-.15, 0], ArrowRight: [.15, 0], ArrowUp: [0, .08], ArrowDown: [0, -.08] };
      if (turns[e.key]) this.look(...turns[e.key]); else if (e.key === " ") this.toggle(); else return;
      e.preventDefault();
    };
  }
  look(turn, tilt) { this.turn += turn; this.tilt = Math.min(1.35, Math.max(.02, this.tilt + tilt)); this.draw(); }
  toggle() {
    this.paused = !this.paused;
    this.box.classList.toggle("paused", this.paused);
    this.button.setAttribute("aria-label", this.paused ? "play" : "pause");
  }
  smooth() {  // the root's way over the floor, averaged over a second: what the camera follows
    const way = [], half = Math.round(this.fps / 2);
    for (let t = 0; t < this.frames; t++) {
      let x = 0, z = 0, n = 0;
      for (let k = Math.max(0, t - half); k <= Math.min(this.frames - 1, t + half); k++) {
        x += this.joints[66 * k]; z += this.joints[66 * k + 2]; n++;
      }
      way.push([x / n, z / n]);
    }
    return way;
  }
  advance(seconds) {
    if (this.paused || !this.seen) return;
    const length = (this.frames - 1) / this.fps + .6;  // a short rest before it begins again
    this.now = (this.now + seconds) % length;
    this.draw();
  }
  draw() {
    const canvas = this.canvas, ratio = Math.min(devicePixelRatio || 1, 2);
    const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
    if (!width) return;
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    this.box.classList.toggle("one", this.frames < 2);
    const g = canvas.getContext("2d"), paper = colours.card;
    g.fillStyle = paper; g.fillRect(0, 0, width, height);
    const frame = Math.min(this.now * this.fps, this.frames - 1), t0 = Math.floor(frame), t1 = Math.min(t0 + 1, this.frames - 1);
    const w = frame - t0, at = i => (this.joints[66 * t0 + i] * (1 - w) + this.joints[66 * t1 + i] * w) / 1000;
    const floor = this.floor / 1000, tall = Math.max((this.top - this.floor) / 1000, 1.75);
    const scale = Math.min(.74 * height / tall, width / 2.1), ground = height * .87;
    const cx = (this.camera[t0][0] * (1 - w) + this.camera[t1][0] * w) / 1000;
    const cz = (this.camera[t0][1] * (1 - w) + this.camera[t1][1] * w) / 1000;
    const s = Math.sin(this.turn), c = Math.cos(this.turn), ct = Math.cos(this.tilt), st = Math.sin(this.tilt), away = 6;
    const project = (x, y, z) => {  // a mild perspective from six metres
      x -= cx; y -= floor; z -= cz;
      const near = x * s + z * c, k = scale * away / (away - near * ct);
      return [width / 2 + k * (x * c - z * s), ground - k * (y * ct - near * st), near];
    };
    const polygon = (points, fill) => {
      g.beginPath(); for (const p of points) g.lineTo(p[0], p[1]); g.closePath(); g.fillStyle = fill; g.fill();
    };
    for (let i = Math.floor((cx - REACH) / TILE); i < (cx + REACH) / TILE; i++)
      for (let k = Math.floor((cz - REACH) / TILE); k < (cz + REACH) / TILE; k++) {
        const far = Math.hypot((i + .5) * TILE - cx, (k + .5) * TILE - cz) / REACH;
        if ((i + k) & 1 || far >= 1) continue;
        polygon([[i, k], [i + 1, k], [i + 1, k + 1], [i, k + 1]].map(q => project(q[0] * TILE, floor, q[1] * TILE)),
          mix(colours.tile, paper, far * far));
      }
    g.lineCap = g.lineJoin = "round";
    g.beginPath(); g.strokeStyle = mix(colours.soft, paper, .5); g.lineWidth = 1.5 * ratio;
    for (let t = Math.max(0, t0 - 80); t <= t0; t++) {
      const p = project(this.joints[66 * t] / 1000, floor, this.joints[66 * t + 2] / 1000); g.lineTo(p[0], p[1]);
    }
    g.stroke();
    const round = [];
    for (let a = 0; a < 24; a++) round.push(project(at(0) + .24 * Math.cos(a * Math.PI / 12), floor, at(2) + .24 * Math.sin(a * Math.PI / 12)));
    polygon(round, colours.shadow);
    const p = []; let middle = 0;
    for (let j = 0; j < 22; j++) { p.push(project(at(3 * j), at(3 * j + 1), at(3 * j + 2))); middle += p[j][2] / 22; }
    const bone = (a, b, wide, fill) => {
      g.beginPath(); g.moveTo(p[a][0], p[a][1]); g.lineTo(p[b][0], p[b][1]); g.lineWidth = wide * scale; g.strokeStyle = fill; g.stroke();
    };
    const parts = LIMBS.map(([a, b, side, wide]) => {
      const near = (p[a][2] + p[b][2]) / 2 - middle;
      // A rim of the background keeps crossing limbs apart; what is farther away is paler.
      const fill = mix(colours[side], paper, Math.min(.34, Math.max(0, .1 - .6 * near)));
      return [near, () => { bone(a, b, wide + .018, paper); bone(a, b, wide, fill); }];
    });
    parts.push([[0, 3, 6, 9, 12].reduce((sum, j) => sum + p[j][2] / 5, 0) - middle, () => {
      for (const [more, fill] of [[.018, paper], [0, colours.body]]) {
        polygon(CHEST.map(j => p[j]), fill);
        for (const [a, b] of TRUNK) bone(a, b, .1 + more, fill);
      }
    }]);
    const up = [0, 1, 2].map(k => at(45 + k) - at(36 + k)), long = Math.hypot(...up) || 1;
    const head = project(...[0, 1, 2].map(k => at(45 + k) + .05 * up[k] / long));
    parts.push([head[2] - middle, () => {
      for (const [more, fill] of [[.009, paper], [0, colours.body]]) {
        g.beginPath(); g.arc(head[0], head[1], (.105 + more) * scale, 0, 7); g.fillStyle = fill; g.fill();
      }
    }]);
    parts.sort((a, b) => a[0] - b[0]);
    for (const [, paint] of parts) paint();
    this.time.textContent = Math.min(this.now, this.frames / this.fps).toFixed(1) + " s";
  }
}

readColours();
const players = [...document.querySelectorAll(".player[data-clip]")].map(box => new Player(box));
const byBox = new Map(players.map(player => [player.box, player]));
const watch = new IntersectionObserver(entries => entries.forEach(e => {
  const player = byBox.get(e.target); player.seen = e.isIntersecting; if (player.seen) player.draw();
}), { rootMargin: "80px" });
players.forEach(player => { watch.observe(player.box); player.draw(); });
const all = () => players.forEach(player => player.draw());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); all(); });
addEventListener("resize", all);
let before = null;
function tick(now) {
  if (before !== null) { const spent = Math.min(now - before, 100) / 1000; players.forEach(player => player.advance(spent)); }
  before = now; requestAnimationFrame(tick);
}
requestAnimationFrame(tick);
