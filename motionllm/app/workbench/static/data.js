// The room data: how far the set is measured.
"use strict";
const measuring = document.querySelector("[data-progress]");
async function look() {
  try {
    const { measured, total } = await ask(measuring.dataset.progress), words = measuring.querySelector("span");
    measuring.querySelector("progress").value = measured;
    if (measured >= total) {
      words.innerHTML = "";
      const link = Object.assign(document.createElement("a"), { href: location.href, textContent: "Show them, suspects first" });
      words.append("All clips are measured. ", link);
      return;
    }
    words.textContent = `${measured} of ${total} clips are measured; suspects are found among these.`;
  } catch { /* the server is gone, or busy: try again */ }
  setTimeout(look, 1500);
}
if (measuring) setTimeout(look, 800);
