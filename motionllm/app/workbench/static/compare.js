// The form of a new comparison.
"use strict";

const form = document.getElementById("contest"), problem = document.getElementById("problem");
const NUMBERS = ["best_of", "temperature", "top_p", "guidance"].flatMap(name => [`${name}0`, `${name}1`]).concat("seconds", "seed");
const name = form.elements.name;
let touched = false;

function propose() {
  const [a, b] = [0, 1].map(i => form.elements[`adapter${i}`].value);
  if (!touched) name.value = free(a === b ? a : `${a}-${b}`, JSON.parse(form.dataset.taken));
}
form.addEventListener("change", propose);
name.addEventListener("input", () => { touched = true; });
propose();

form.onsubmit = async event => {
  event.preventDefault();
  const given = fields(form, NUMBERS), sides = [{}, {}], body = { sides };
  for (const [key, value] of Object.entries(given)) {
    const side = key.match(/^(.*)([01])$/);
    if (side) sides[side[2]][side[1]] = value; else body[key] = value;
  }
  body.prompts = (given.prompts || "").split("\n").map(line => line.trim()).filter(Boolean);
  const button = form.querySelector("button");
  problem.textContent = ""; button.disabled = true;
  try { location.href = `/compare/of/${encodeURIComponent((await ask("/compare/start", body)).name)}`; }
  catch (error) { problem.textContent = error.message; button.disabled = false; }
};
