// What all rooms share: figures that load when they come into view, requests to the server, the line of status.
"use strict";

// Shows a clip {fps, joints} in a .player box, in the place of the one shown there before; returns its Player.
function place(box, clip) {
  const before = byBox.get(box);
  if (before) players.splice(players.indexOf(before), 1);
  box.dataset.clip ??= CLIPS.length;
  CLIPS[box.dataset.clip] = clip;
  const player = new Player(box);
  player.seen = true;
  players.push(player); byBox.set(box, player); watch.observe(box); player.draw();
  return player;
}

// A box of the macro `box` with a source is given its clip when it comes into view.
const arriving = new IntersectionObserver(entries => entries.forEach(async entry => {
  if (!entry.isIntersecting) return;
  arriving.unobserve(entry.target);
  try { place(entry.target, await ask(entry.target.dataset.source)); }
  catch (error) { entry.target.querySelector(".time").textContent = error.message; }
}), { rootMargin: "200px" });
for (const box of document.querySelectorAll(".player[data-source]")) arriving.observe(box);

// The JSON of a GET, or with a body of a POST. Throws an Error with the server's sentence; its `reply` is the whole
// answer and its `status` the number, 0 where the server could not be reached.
async function ask(url, body) {
  const how = body === undefined ? {} :
    { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), keepalive: true };
  let response, reply = {};
  try { response = await fetch(url, how); }
  catch { throw Object.assign(new Error("The server cannot be reached."), { status: 0, reply }); }
  try { reply = await response.json(); } catch { /* an answer of a proxy, or of a server that failed */ }
  if (response.ok) return reply;
  const message = reply.error || `The server failed (${response.status}); its terminal says why.`;
  throw Object.assign(new Error(message), { status: response.status, reply });
}

// Shows a sentence at the foot of the page for a while, where screen readers read it out.
let saying = null;
function say(text) {
  const status = document.getElementById("status");
  status.textContent = text;
  clearTimeout(saying); saying = setTimeout(() => { status.textContent = ""; }, 6000);
}
