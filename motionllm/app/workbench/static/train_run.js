// A run: curves, samples and validations as they come; stop and resume.
"use strict";

const head = document.getElementById("run"), base = `/train/run/${encodeURIComponent(head.dataset.name)}`;
const el = id => document.getElementById(id);
const [stop, resume, again, problem, steps] = ["stop", "resume", "again", "problem", "at-step"].map(el);
let run = null, refused = "", asked = "";

function curves() {
  const { step, loss, tokens_per_second: speed, seconds } = run.curve, held = run.validations.filter(v => "all" in v.losses);
  const mean = smooth(loss, Math.min(.9, 1 - 4 / (loss.length + 4)));
  const value = i => `step ${step[i]}, ${minutes(seconds[i])}: `;
  const before = i => held.filter(v => v.step <= step[i]).at(-1);
  chart(el("loss"), el("loss-read"), [
    { x: step, y: mean, kind: "mean" }, { x: step, y: loss, kind: "raw" },
    { x: held.map(v => v.step), y: held.map(v => v.losses.all), kind: "held" }],
    i => value(i) + `loss ${loss[i].toFixed(3)}` + (before(i) ? `, validation ${before(i).losses.all.toFixed(3)}` : ""));
  chart(el("speed"), el("speed-read"), [
    { x: step, y: smooth(speed, .7), kind: "mean" }, { x: step, y: speed, kind: "raw" }],
    i => value(i) + `${Math.round(speed[i])} tokens per second`);
}

function validations() {
  const table = el("validations").querySelector("table"), rows = run.validations.slice(-30).reverse();
  el("validations").hidden = !rows.length;
  if (!rows.length) return;
  const tasks = Object.keys(rows[0].losses), cell = (line, text, scope) => {
    const made = document.createElement(scope ? "th" : "td");
    if (scope) made.scope = scope;
    made.textContent = text; line.append(made);
  };
  table.tHead.replaceChildren(); table.tBodies[0].replaceChildren();
  const top = table.tHead.insertRow();
  for (const name of ["step", ...tasks]) cell(top, name.replaceAll("_", " "), "col");
  for (const row of rows) {
    const line = table.tBodies[0].insertRow();
    cell(line, row.step, "row");
    for (const task of tasks) cell(line, row.losses[task]?.toFixed(3) ?? "–");
  }
}

let shownStep = null;
function samples() {
  el("samples").hidden = !run.samples.length;
  if (!run.samples.length) return;
  const newest = steps.value === steps.options[0]?.value;  // whoever looks at an earlier step keeps it
  if (steps.options.length !== run.samples.length) {
    const kept = steps.value;
    steps.replaceChildren(...run.samples.map(s => new Option(s.step, s.step)).reverse());
    if (!newest && kept) steps.value = kept;
  }
  if (steps.value !== shownStep) { shownStep = steps.value; figures(run.samples.find(s => String(s.step) === shownStep)); }
}
async function figures(sample) {
  const list = el("samples").querySelector("ul");
  sample.files.forEach(async (file, i) => {
    let item = list.children[i];
    if (!item) { item = el("sample").content.firstElementChild.cloneNode(true); list.append(item); }
    const text = run.texts[i] || file;
    item.querySelector("figcaption").textContent = text;
    item.querySelector("canvas").setAttribute("aria-label", `${text}, as of step ${sample.step}: moving figure; arrow keys turn it, space pauses`);
    try { place(item.querySelector(".player"), await ask(`${base}/sample/${encodeURIComponent(file)}`)); }
    catch (error) { item.querySelector(".time").textContent = error.message; }
  });
  while (list.children.length > sample.files.length) list.lastElementChild.remove();
}
steps.onchange = samples;

function show() {
  write(document, run);
  problem.textContent = refused || run.why || "";
  stop.hidden = !["preparing", "running"].includes(run.state) || Boolean(run.host);
  resume.hidden = again.hidden = !run.resumable;
  el("printed").hidden = !run.printed.length;
  el("printed").querySelector("pre").textContent = run.printed.join("\n");
  curves(); validations(); samples();
}
async function look() {
  const before = run?.state;
  try { run = await ask(`${base}/state`); } catch (error) { say(error.message); return; }
  say(before && before !== run.state ? `${run.name}: ${STATES[run.state]}` : asked);
  asked = "";
  show();
}
async function act(what, body, words) {
  refused = "";
  try { await ask(`${base}/${what}`, body); asked = words; } catch (error) { refused = error.message; }
  await look();
}
stop.onclick = () => act("stop", {}, "Asked to stop: the step is finished and saved.");
resume.onclick = () => act("resume", fields(again, ["minutes", "steps"]), "Resuming from the checkpoint.");
again.onsubmit = event => { event.preventDefault(); resume.click(); };
addEventListener("resize", () => { if (run) curves(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (run) curves(); });
every(() => run && ["finished", "stopped", "failed"].includes(run.state) ? 8 : 2, look);
