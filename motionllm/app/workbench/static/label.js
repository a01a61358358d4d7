// The room label. What is typed goes into this browser's storage at once and to the server a moment later; it leaves the
// storage when the server has written it.
"use strict";
const $ = id => document.getElementById(id);
const room = $("label"), text = $("text"), queue = $("queue"), folder = room.dataset.place;
let clip = null;      // what the server says of the clip that is shown
let typed = 0;        // when its text was last changed, in milliseconds; 0: not by a person
let kept = 0;         // when what the server has kept was typed
let wording = 0;      // which of the drafted sentences was taken last
let busy = false;     // a clip is being saved or fetched
let visited = [];     // clips shown before, for Back
let other = null;     // another's text of the clip and its version, until the person has chosen
let timer = null, sending = null, again = null;

// -- storage of the browser -----------------------------------------------------------------------------------
const slot = id => `label:${folder}:${id}`;
function store(key, value) {
  try { value === null ? localStorage.removeItem(key) : localStorage.setItem(key, JSON.stringify(value)); }
  catch { /* private windows may have none: the server keeps the draft alone */ }
}
function stored(key) { try { return JSON.parse(localStorage.getItem(key)); } catch { return null; } }

// -- drafts ---------------------------------------------------------------------------------------------------
function payload() { return { id: clip.id, text: text.value, version: clip.version, at: typed, queue: queue.value }; }
function changed() {
  typed = Math.max(Date.now(), typed + 1);
  store(slot(clip.id), { text: text.value, version: clip.version, at: typed });
  note("");
  clearTimeout(timer); timer = setTimeout(keep, 300);
}
// Sends the text as a draft; one request at a time, so that an earlier one never comes last.
async function keep() {
  clearTimeout(timer);
  if (sending) await sending;
  if (!clip || kept >= typed) return;
  const given = payload(), of = clip;
  sending = (async () => {
    try {
      const { hints } = await ask("/label/keep", given);
      if (clip !== of) return;
      kept = given.at;
      if (kept === typed) { note("Draft kept"); showHints(hints); }
    } catch (error) {
      if (clip !== of) return;
      unreachable(error);
      timer = setTimeout(keep, 1500);
    }
  })();
  await sending; sending = null;
}
function unreachable(error) {
  note(error.status ? error.message :
    "The server cannot be reached. What you typed is kept in this browser and is sent when it is back.", true);
}
function leave() {  // the page is left or hidden, perhaps for good
  if (!clip || kept >= typed) return;
  navigator.sendBeacon("/label/keep", new Blob([JSON.stringify(payload())], { type: "application/json" }));
}
addEventListener("pagehide", leave);
document.addEventListener("visibilitychange", () => { if (document.hidden) leave(); });

// -- showing a clip -------------------------------------------------------------------------------------------
async function open(id, remember = true) {
  busy = true;
  let reply;
  try { reply = await ask(`/label/clip/${encodeURIComponent(id)}`); }
  catch (error) { busy = false; unreachable(error); if (!error.status) setTimeout(() => open(id, remember), 1500); return; }
  leave();  // of what was typed while the answer came
  if (clip && remember && clip.id !== id) visited.push(clip.id);
  clip = reply; typed = kept = wording = 0; other = null;
  const local = stored(slot(id));
  const draft = local && local.at > clip.at ? local :
    clip.draft !== null ? { text: clip.draft, version: clip.draft_version, at: clip.at } : null;
  const differs = draft && draft.text.trim() && draft.text.trim() !== clip.text.trim();
  text.value = differs ? draft.text : clip.text || clip.sentences[0] || "";
  if (differs) { typed = draft.at; kept = clip.at; } else if (local) store(slot(id), null);
  show(differs);
  if (differs && draft.version !== clip.version) {
    conflict(clip.text, clip.version);
    clip.version = draft.version;
  }
  busy = false;
  store(`label:${folder}`, id);
  history.replaceState(null, "", `/label?clip=${encodeURIComponent(id)}`);
  if (!other) text.focus({ preventScroll: true });
  if (differs || clip.text) text.setSelectionRange(text.value.length, text.value.length); else text.select();
  if (kept < typed) keep();
}
function show(differs) {
  $("done").hidden = true; $("desk").hidden = false; $("conflict").hidden = true;
  $("name").textContent = clip.id; document.title = `${clip.id} · Label · motionllm`;
  counted(clip.left);
  if (clip.clip) place(large, clip.clip);
  fill(clip.lines, clip.seconds);
  note(differs ? "Draft of yours, not saved yet" : clip.text ? "Saved" : origin());
  const notes = clip.doubts.map(words => element("p", { className: "doubt" }, words));
  if (clip.elsewhere) notes.unshift(element("p", { className: "doubt" }, "Another person has this clip open."));
  $("notes").replaceChildren(...notes);
  $("other").disabled = clip.sentences.length < 2 && text.value === clip.sentences[0];
  $("shows").hidden = !clip.phrases.length;
  $("phrases").replaceChildren(...clip.phrases.map((phrase, k) => {
    const button = element("button", { type: "button", onclick: () => add(phrase.text) }, phrase.text);
    if (k < 9) button.setAttribute("aria-keyshortcuts", `Alt+${k + 1}`);
    return element("li", {}, button);
  }));
  showHints([]); fit();
  if (text.value && (differs || clip.text)) look();
}
// Where the draft that stands there comes from.
function origin() {
  if (!clip.sentences.includes(text.value)) return "";
  const alike = clip.used[text.value];
  const words = clip.exchanged.includes(text.value) ? `Same words as ${alike}, left and right exchanged` : `Same words as ${alike}`;
  return (alike ? words : "Drafted from the motion") + "; not saved yet";
}
// Hints on a text that stands there already.
async function look() {
  const of = clip;
  try { const { hints } = await ask("/label/hints", { id: of.id, text: text.value }); if (clip === of && kept >= typed) showHints(hints); }
  catch { /* they come with the next change */ }
}
function counted(left) {
  $("where").textContent = `Clip ${clip.number} of ${clip.total} · ${clip.split} · ` + (left ? `${left} without caption` : "all have captions");
}
function showHints(hints) {
  $("hints").replaceChildren(...hints.map((hint, k) => {
    const button = element("button", { type: "button", onclick: () => replace(hint.text) }, hint.label);
    if (!k) button.setAttribute("aria-keyshortcuts", "Alt+X");
    return element("p", { className: "hint" }, hint.message + " ", button);
  }));
}
function element(name, values, ...inside) { const made = Object.assign(document.createElement(name), values); made.append(...inside); return made; }
function note(words, bad = false) { $("kept").textContent = words; $("kept").classList.toggle("bad", bad); }
function fit() { text.style.height = "auto"; text.style.height = Math.max(84, text.scrollHeight + 2) + "px"; }
function finished() {
  clip = null; $("desk").hidden = true; $("done").hidden = false; $("name").textContent = "Done"; $("where").textContent = "";
  store(`label:${folder}`, null);
}

// -- changing the text ----------------------------------------------------------------------------------------
function replace(value) { text.value = value; fit(); changed(); text.focus(); text.setSelectionRange(value.length, value.length); }
function add(phrase) {
  const line = text.value.split("\n").at(-1).toLowerCase(), at = (" " + line.replace(/[.,;]/g, " ") + " ").replace(/\s+/g, " ");
  if (at.includes(` ${phrase.toLowerCase()} `)) return say("The caption says that already.");
  const now = text.value.replace(/[\s.]+$/, "");
  replace(!now || now.endsWith("\n") ? `${now}a person ${phrase}` : `${now} and then ${phrase}`);
}
function reword() {
  if (!clip.sentences.length) return;
  if (text.value === clip.sentences[wording]) wording = (wording + 1) % clip.sentences.length;
  replace(clip.sentences[wording]);
}
text.addEventListener("input", () => { fit(); if (clip) changed(); });

// -- accepting, and going on ----------------------------------------------------------------------------------
async function accept() {
  clearTimeout(again);
  if (busy || !clip) return;
  if (other) { say("Choose first which text to keep."); $("both").focus(); return; }
  busy = true; text.readOnly = true;
  clearTimeout(timer);
  if (sending) await sending;
  typed = Math.max(Date.now(), typed + 1);
  store(slot(clip.id), { text: text.value, version: clip.version, at: typed });
  try {
    const reply = await ask("/label/save", payload());
    store(slot(clip.id), null);
    kept = typed; clip.version = reply.version; clip.text = text.value;
    say(`Saved. ${reply.left ? reply.left + " without caption" : "All clips have captions"}.`);
    if (reply.next) await open(reply.next); else finished();
  } catch (error) {
    if (error.status === 409) conflict(error.reply.text, error.reply.version);
    else unreachable(error);
    if (!error.status) again = setTimeout(accept, 1500);
  } finally { busy = false; text.readOnly = false; if (clip && !other) text.focus({ preventScroll: true }); }
}
async function skip() {
  if (busy || !clip) return;
  await keep();
  try {
    const reply = await ask(`/label/next?after=${encodeURIComponent(clip.id)}&queue=${queue.value}`);
    if (reply.id) { say(""); await open(reply.id); } else say("No other clip is left in this list.");
  } catch (error) { unreachable(error); }
}
async function back() {
  if (busy || !clip) return;
  await keep();
  const id = visited.pop() || clip.before;
  if (id) { say(""); await open(id, false); } else say("This is the first clip.");
}
// Shows another's text; until the person has chosen, drafts are kept and nothing is saved.
function conflict(theirs, version) {
  other = { text: theirs, version };
  $("theirs").textContent = theirs || "(no caption)";
  $("conflict").hidden = false; $("both").focus();
}
function settle() { clip.version = other.version; other = null; $("conflict").hidden = true; }
$("both").onclick = () => {
  const lines = [...other.text.split("\n"), ...text.value.split("\n")].filter(Boolean);
  settle(); replace([...new Set(lines)].join("\n"));
};
$("mine").onclick = () => { settle(); accept(); };
$("drop").onclick = async () => {
  typed = Math.max(Date.now(), typed + 1);
  try { await ask("/label/discard", payload()); } catch (error) { return unreachable(error); }
  store(slot(clip.id), null); kept = typed; settle(); open(clip.id);
};
$("form").onsubmit = e => { e.preventDefault(); accept(); };
$("skip").onclick = skip; $("back").onclick = back; $("other").onclick = reword;
addEventListener("keydown", e => {
  if (!clip || e.isComposing || e.ctrlKey || e.metaKey) return;
  const digit = /^Digit([1-9])$/.exec(e.code);
  if (e.key === "Enter" && !e.shiftKey && !e.altKey && e.target === text) { if (!e.repeat) accept(); }
  else if (e.key === "PageDown") skip();
  else if (e.key === "PageUp") back();
  else if (e.altKey && digit) { const phrase = clip.phrases[digit[1] - 1]; if (phrase) add(phrase.text); }
  else if (e.altKey && e.code === "KeyW") reword();
  else if (e.altKey && e.code === "KeyX") { const hint = $("hints").querySelector("button"); if (hint) hint.click(); }
  else if (e.altKey && e.code === "KeyP") pause();
  else return;
  e.preventDefault();
});
queue.onchange = () => { store(`label:${folder}:queue`, queue.value); clip ? skip() : begin(""); };

// Begins with the clip that the address names, else where one was, else with the first of the list.
async function begin(id = new URLSearchParams(location.search).get("clip") || stored(`label:${folder}`)) {
  try {
    if (!id) id = (await ask(`/label/next?queue=${queue.value}`)).id;
    if (id) await ask(`/label/clip/${encodeURIComponent(id)}`);
  } catch (error) {
    say(error.message);
    if (error.status && id) { store(`label:${folder}`, null); return begin(""); }  // that clip is not there any more
    return void setTimeout(begin, 1500, id);
  }
  say("");
  if (id) open(id); else finished();
}
queue.value = stored(`label:${folder}:queue`) || "open";
begin();
