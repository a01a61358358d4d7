// The form of a new run: a recipe fills it, the plan says what it takes, and start leads to the run.
"use strict";

const form = document.getElementById("order"), problem = document.getElementById("problem");
const planned = document.getElementById("planned");
const NUMBERS = ["minutes", "steps", "validate_minutes", "validate_every", "lr", "rank", "seed"];
let began = 0, touched = false;

// What differs from the recipe; an emptied field is null, "none".
function order() {
  const body = fields(form, NUMBERS), settings = JSON.parse(chosen().dataset.settings);
  body.samples = (body.samples || "").split("\n").map(line => line.trim()).filter(Boolean);
  if (chosen().dataset.unset === "0") delete body.data;
  for (const name of NUMBERS) {
    if (body[name] === undefined && settings[name] !== null) body[name] = null;
    else if (body[name] === settings[name]) delete body[name];
  }
  return body;
}
const chosen = () => form.querySelector("[name=recipe]:checked");

function fill() {
  const recipe = chosen();
  if (!recipe) return;
  const settings = JSON.parse(recipe.dataset.settings);
  for (const name of NUMBERS) form.elements[name].value = settings[name] ?? "";
  if (settings.validate_minutes === null && settings.minutes) form.elements.validate_minutes.value = Math.max(1, Math.round(settings.minutes / 5));
  if (!touched) form.elements.name.value = free(recipe.value, JSON.parse(form.dataset.taken));
  form.querySelector(".needs-data").hidden = recipe.dataset.unset === "0";
  planned.hidden = true; problem.textContent = "";
}
form.addEventListener("change", event => { if (event.target.name === "recipe") fill(); });
form.elements.name.addEventListener("input", () => { touched = true; });
(form.querySelector("[name=recipe]:not(:disabled)")).checked = true;
fill();

function row(table, head, ...cells) {
  const line = table.insertRow(), name = document.createElement("th");
  name.scope = "row"; name.textContent = head; line.append(name);
  for (const text of cells) line.insertCell().textContent = text;
}
function table(title, columns) {
  const made = document.createElement("table"), caption = made.createCaption();
  caption.textContent = title;
  if (columns) {
    const line = made.createTHead().insertRow();
    for (const text of columns) { const cell = document.createElement("th"); cell.scope = "col"; cell.textContent = text; line.append(cell); }
  }
  made.append(document.createElement("tbody"));
  const scroll = document.createElement("div");
  scroll.className = "scroll"; scroll.append(made); planned.append(scroll);
  return made.tBodies[0];
}
function show(plan, command) {
  planned.replaceChildren();
  const cost = table("Plan and cost"), millions = n => `${(n / 1e6).toFixed(1)} M`;
  row(cost, "Time here", plan.minutes === null ? "not estimated for this base on this machine"
    : `about ${minutes(60 * plan.minutes)}: ${plan.steps} steps of ${plan.seconds_per_step.toPrecision(2)} s, on an idle machine`);
  row(cost, "Memory", `${plan.memory_gib.total.toFixed(1)} GiB, ${plan.memory_gib.activations.toFixed(1)} of it activations (estimated)`);
  row(cost, "Parameters", `${millions(plan.parameters.base)}; trained are ${millions(plan.parameters.trained)}, and ${plan.parameters.rows} motion tokens`);
  row(cost, "Examples", `${plan.examples}, which is ${plan.epochs.toFixed(1)} epochs of ${plan.data.epoch.tokens.toLocaleString("en")} tokens`);
  const data = table("Data", ["", "clips", "minutes", "captions", "share"]);
  for (const s of plan.data.sources) row(data, s.source, s.clips, (s.seconds / 60).toFixed(1), s.captions, `${Math.round(100 * s.share)} %`);
  const tasks = table("Tasks", ["", "share of examples", "tokens each"]);
  for (const t of plan.data.tasks) row(tasks, t.task.replaceAll("_", " "), `${Math.round(100 * t.share)} %`, Math.round(t.tokens));
  const line = document.createElement("p"), code = document.createElement("code");
  line.className = "soft"; code.textContent = command; line.append("The same in a terminal: ", code); planned.append(line);
}
document.getElementById("plan").onclick = async event => {
  if (!form.reportValidity()) return;
  const mine = ++began, button = event.target;
  problem.textContent = ""; planned.hidden = false; planned.setAttribute("aria-busy", "true"); button.disabled = true;
  planned.replaceChildren(Object.assign(document.createElement("p"), { textContent: "Counting on the clips, and timing two layers …" }));
  try {
    const { command } = await ask("/train/plan", order());
    for (;;) {
      await new Promise(done => setTimeout(done, 1000));
      if (mine !== began) return;
      const { plan, doing } = await ask("/train/plan");
      if (plan) { show(plan, command); break; }
      if (doing) planned.firstChild.textContent = doing;
    }
  } catch (error) { problem.textContent = error.message; planned.hidden = true; }
  finally { planned.setAttribute("aria-busy", "false"); button.disabled = false; }
};
form.onsubmit = async event => {
  event.preventDefault();
  const button = document.getElementById("start");
  problem.textContent = ""; button.disabled = true;
  try { location.href = `/train/run/${encodeURIComponent((await ask("/train/start", order())).name)}`; }
  catch (error) { problem.textContent = error.message; button.disabled = false; }
};
