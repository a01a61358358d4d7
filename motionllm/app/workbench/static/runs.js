// What the pages of runs share: how far one is, in words.
"use strict";

const STATES = { preparing: "preparing", running: "training", stopping: "stopping: finishes its step and saves",
  finished: "finished", stopped: "stopped", failed: "failed" };
const minutes = seconds => seconds < 90 ? `${Math.round(seconds)} s` : seconds < 5400 ? `${(seconds / 60).toFixed(1)} min`
  : `${(seconds / 3600).toFixed(1)} h`;

function far(run) {
  const words = [];
  if (run.host) words.push(`on ${run.host}`);
  if (run.step) words.push(run.steps ? `step ${run.step} of ${run.steps}` : `step ${run.step}`);
  if (run.seconds) words.push(run.minutes ? `${minutes(run.seconds)} of ${minutes(60 * run.minutes)}` : minutes(run.seconds));
  if (run.state === "running" && run.done > .005 && run.done < 1)
    words.push(`about ${minutes(run.seconds * (1 - run.done) / run.done)} left`);
  if (run.loss !== null) words.push(`loss ${run.loss.toFixed(3)}`);
  if (run.validation !== null) words.push(`best validation ${run.validation.toFixed(3)}`);
  return words.join(" · ");
}

// Writes a run's state into the elements below `root` that are marked for it.
function write(root, run) {
  const badge = root.querySelector("[data-is=state]"), text = root.querySelector("[data-is=far]");
  if (badge) { badge.className = `badge ${run.state}`; badge.textContent = STATES[run.state]; }
  if (text) text.textContent = far(run);
  const bar = root.querySelector("progress");
  if (bar) bar.value = run.done;
}

// The fields of a form as an object of numbers and texts, without the empty ones.
function fields(form, numbers) {
  const body = {};
  for (const [key, value] of new FormData(form)) {
    const text = value.trim();
    if (!text) continue;
    const number = Number(text.replace(",", "."));
    body[key] = numbers.includes(key) && Number.isFinite(number) ? number : text;
  }
  return body;
}

// A name that is not taken: the one wanted, or with the first number from 2 on that makes it free.
function free(wanted, taken) {
  let name = wanted;
  for (let number = 2; taken.includes(name); number++) name = `${wanted}-${number}`;
  return name;
}

// Calls `step` again and again, `seconds()` after it has ended, and at once when the page comes back into view.
function every(seconds, step) {
  let timer = null;
  const run = async () => { clearTimeout(timer); if (!document.hidden) await step(); timer = setTimeout(run, 1000 * seconds()); };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) run(); });
  return run();
}
