// A blind vote: two figures under one clock, left or right or equal, one pair after another; the result at the end.
"use strict";

const el = id => document.getElementById(id), name = el("comparison").dataset.name;
const base = `/compare/of/${encodeURIComponent(name)}`, boxes = [...document.querySelectorAll("#voting .player")];
const problem = el("problem"), buttons = [...document.querySelectorAll("[data-vote]")];
let voter = localStorage.getItem("voter");
if (!/^[0-9a-f]{16}$/.test(voter || "")) {
  voter = [...crypto.getRandomValues(new Uint8Array(8))].map(b => b.toString(16).padStart(2, "0")).join("");
  localStorage.setItem("voter", voter);
}
let ballot = null, at = -1, busy = false;

// Both figures move by the clock of the first, so that the same moment is seen of each; turning one turns both.
async function figures(pair) {
  const clips = await Promise.all(["left", "right"].map(place => ask(`${base}/motion/${voter}/${pair.id}/${place}`)));
  if (ballot.pairs[at]?.id !== pair.id) return;
  const both = boxes.map((box, i) => place(box, clips[i])), [first, second] = both;
  const longest = Math.max(...both.map(p => (p.frames - 1) / p.fps));
  let now = 0;
  const show = () => both.forEach(p => { p.now = Math.min(now, (p.frames - 1) / p.fps); p.draw(); });
  const { look, toggle } = Player.prototype;
  first.advance = seconds => { if (!first.paused && (first.seen || second.seen)) { now = (now + seconds) % (longest + .6); show(); } };
  second.advance = () => {};
  second.turn = first.turn;
  for (const p of both) {
    p.look = (turn, tilt) => both.forEach(q => look.call(q, turn, tilt));
    p.toggle = () => both.forEach(q => toggle.call(q));
  }
  boxes.forEach((box, i) => box.querySelector("canvas").setAttribute("aria-label",
    `${["left", "right"][i]} motion, ${((both[i].frames - 1) / both[i].fps).toFixed(1)} seconds, for: ${pair.text}; arrow keys turn both, space pauses`));
  show();
}

function show() {
  const { pairs, total, ended, state } = ballot, voted = pairs.filter(p => p.vote).length;
  const words = [`${voted} of ${total} judged`];
  if (state.ready < state.pairs) words.push(`${state.ready} of ${state.pairs} pairs are generated`);
  if (state.failed) words.push(`${state.failed} prompts could not be generated`);
  el("far").textContent = words.join(" · ");
  if (state.why) problem.textContent = state.why;
  el("doing").textContent = pairs.length || !state.generating ? ""
    : `The first motions are on their way; the page shows them as they come. ${state.doing}`;
  el("go-on").hidden = state.generating || state.ready >= state.pairs;
  const pair = pairs[at];
  el("voting").hidden = !pair || ended;
  if (!pair) return;
  el("prompt").textContent = `${at + 1}. ${pair.text}`;
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.vote === pair.vote));
  el("back").disabled = at === 0; el("next").disabled = at + 1 >= pairs.length;
  el("end").textContent = voted === total ? "Show the result" : "End and show the result";
  el("end").classList.toggle("primary", voted === total);
}
async function go(to) {
  at = to; show();
  try { await figures(ballot.pairs[at]); } catch (error) { problem.textContent = error.message; }
}
function first() { return ballot.pairs.findIndex(pair => !pair.vote); }

async function look() {
  if (busy) return;
  try { ballot = await ask(`${base}/ballot?voter=${voter}`); } catch (error) { problem.textContent = error.message; return; }
  problem.textContent = "";
  if (ballot.ended) { if (el("result").hidden) await end(); }
  else if (at < 0 && ballot.pairs.length) await go(Math.max(0, first()));
  show();
}
async function vote(choice) {
  if (busy || !ballot?.pairs[at] || ballot.ended) return;
  busy = true; problem.textContent = "";
  try {
    const taken = await ask(`${base}/vote`, { voter, pair: ballot.pairs[at].id, vote: choice });
    ballot = { ...ballot, ...taken };
    const open = first(), next = open >= 0 ? `; next: ${ballot.pairs[open].text}` : "";
    say(`${choice[0].toUpperCase()}${choice.slice(1)} is written down${next}.`);
    if (open >= 0) await go(open); else { show(); if (ballot.pairs.length === ballot.total) el("end").focus(); }
  } catch (error) { problem.textContent = error.message; }
  finally { busy = false; }
}
async function end() {
  let result;
  try { result = await ask(`${base}/result`, { voter, end: true }); } catch (error) { problem.textContent = error.message; return; }
  ballot.ended = true;
  say(""); show(); tell(result);
}
el("end").onclick = () => {
  const left = ballot.total - ballot.pairs.filter(p => p.vote).length;
  if (!left || confirm(`${left} pairs are not judged. The result ends your blind vote; show it?`)) end();
};
for (const button of buttons) button.onclick = () => vote(button.dataset.vote);
el("back").onclick = () => at > 0 && go(at - 1);
el("next").onclick = () => at + 1 < ballot.pairs.length && go(at + 1);
el("go-on").onclick = async () => {
  try { await ask(`${base}/go-on`, {}); el("go-on").hidden = true; } catch (error) { problem.textContent = error.message; }
};
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || el("voting").hidden) return;
  const choice = { 1: "left", 2: "equal", 3: "right" }[event.key];
  if (choice) vote(choice);
  else if (event.key === "b") el("back").click();
  else if (event.key === "n") el("next").click();
  else if (event.key === " " && event.target === document.body) byBox.get(boxes[0])?.toggle();
  else return;
  event.preventDefault();
});

const percent = share => `${Math.round(100 * share)} %`;
function tell(result) {
  const { sides, wins, ties, votes, share, interval, p } = result, decided = wins[0] + wins[1];
  el("result").hidden = false;
  const ahead = wins[0] >= wins[1] ? 0 : 1;
  const equal = ties === 1 ? "1 vote says that both are equal" : `${ties} votes say that both are equal`;
  el("verdict").textContent = !decided ? `No vote prefers either side; ${equal}.`
    : (wins[0] === wins[1] ? `Both sides are preferred equally often, in ${wins[0]} of ${decided} decided votes; `
      : `${sides[ahead]} is preferred in ${wins[ahead]} of ${decided} decided votes; `) + `${equal}. ` +
      (p < .05 ? `By chance alone so clear a result is rare (p = ${p.toPrecision(2)}).`
        : `That is within what chance gives (p = ${p.toFixed(2)}): more votes would tell.`) +
      (result.voters > 1 ? ` ${result.voters} people voted; the interval takes all votes as independent.` : "");
  const rows = el("tally").tBodies[0];
  rows.replaceChildren();
  const line = (table, head, cells) => {
    const made = table.insertRow(), th = document.createElement("th");
    th.scope = "row"; th.textContent = head; made.append(th);
    for (const text of cells) made.insertCell().textContent = text;
  };
  const bounds = i => interval === null ? "–" : (i ? [1 - interval[1], 1 - interval[0]] : interval).map(percent).join(" to ");
  for (const i of [0, 1]) line(rows, sides[i], [wins[i], share === null ? "–" : percent(i ? 1 - share : share), bounds(i)]);
  line(rows, "Equal", [ties, "", ""]);
  line(rows, "All votes", [votes, "", ""]);
  const table = el("pairs").tBodies[0], names = [sides[0], "equal", sides[1]];
  table.replaceChildren();
  el("place").textContent = `${sides[0]} was on your`;
  for (const { id, text, counts, places } of result.pairs) {
    const chosen = names.map((name, i) => counts[i] && (result.voters > 1 ? `${name}: ${counts[i]}` : name)).filter(Boolean);
    line(table, "", [chosen.join(", ") || "no vote", places[0]]);
    const watch = document.createElement("button");
    watch.type = "button"; watch.textContent = text; watch.className = "text";
    watch.onclick = () => again(id, places[0] === "left" ? sides : [sides[1], sides[0]]);
    table.lastElementChild.querySelector("th").append(watch);
  }
  for (const { text, why } of result.failed) line(table, text, [`not generated: ${why}`, ""]);
  el("file").textContent = `${result.both ? `Both sides: ${result.both}. ` : ""}The votes are in ${result.file}, one on each line.`;
  el("result").querySelector("h2").focus();
}
// A pair once more, now with the names of its sides.
async function again(id, names) {
  const pair = document.querySelector(".pair");
  el("watched").append(pair); el("watched").hidden = false;
  at = ballot.pairs.findIndex(one => one.id === id);
  pair.querySelectorAll("figcaption").forEach((caption, i) => { caption.textContent = names[i]; });
  el("watched-prompt").textContent = ballot.pairs[at].text;
  try { await figures(ballot.pairs[at]); } catch (error) { problem.textContent = error.message; }
  el("watched").scrollIntoView({ block: "nearest" });
}
every(() => ballot && !ballot.state.generating ? 15 : 3, look);
