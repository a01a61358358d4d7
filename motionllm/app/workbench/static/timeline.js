// The transport under a large figure: play, time, speed, and the events of the notation as bars that one can go to.
"use strict";
const timeline = document.getElementById("timeline"), scrub = document.getElementById("scrub");
const playing = document.getElementById("play"), speed = document.getElementById("speed"), events = document.getElementById("events");
const large = document.querySelector(".large .player");

// The player of the large figure, with the speed that is chosen; null until its clip has come.
function figure() {
  const player = byBox.get(large);
  if (player && !player.hasSpeed) {
    player.hasSpeed = true;
    player.advance = function (seconds) { Player.prototype.advance.call(this, seconds * Number(speed.value)); };
    player.now = 0;
  }
  return player || null;
}
function pause(stop) {
  const player = figure();
  if (player && (stop === undefined || stop !== player.paused)) player.toggle();
}
function go(seconds) {
  const player = figure();
  if (!player) return;
  player.now = seconds; player.draw();
}
// Places the bars of the events in their part of the clip's time.
function lay() {
  const whole = Number(timeline.dataset.seconds) || 1;
  for (const button of events.querySelectorAll("button")) {
    const bar = button.querySelector(".bar");
    bar.style.left = 100 * button.dataset.start / whole + "%";
    bar.style.width = Math.max(1, 100 * (button.dataset.end - button.dataset.start) / whole) + "%";
  }
}
// Shows the events of another clip: [{start, end, text}], seconds of the clip.
function fill(lines, seconds) {
  timeline.dataset.seconds = scrub.max = seconds; scrub.value = 0;
  events.replaceChildren(...lines.map(line => {
    const item = document.createElement("li"), button = document.createElement("button"), part = {};
    for (const name of ["bar", "what", "when"]) button.append(part[name] = Object.assign(document.createElement("span"), { className: name }));
    Object.assign(button.dataset, { start: line.start, end: line.end }); button.type = "button";
    part.what.textContent = line.text; part.when.textContent = `${line.start.toFixed(1)}–${line.end.toFixed(1)} s`;
    item.append(button); return item;
  }));
  lay();
}
events.addEventListener("click", e => {
  const button = e.target.closest("button");
  if (button) { go(Number(button.dataset.start)); pause(false); }
});
playing.onclick = () => pause();
scrub.oninput = () => { pause(true); go(Number(scrub.value)); };
let pressed = null;
function follow() {
  const player = figure();
  if (player) {
    if (document.activeElement !== scrub || !player.paused) scrub.value = player.now;
    if (pressed !== player.paused) { pressed = player.paused; playing.textContent = pressed ? "Play" : "Pause"; playing.setAttribute("aria-pressed", String(!pressed)); }
    for (const button of events.querySelectorAll("button"))
      button.classList.toggle("now", button.dataset.start <= player.now && player.now <= button.dataset.end);
  }
  requestAnimationFrame(follow);
}
lay(); requestAnimationFrame(follow);
