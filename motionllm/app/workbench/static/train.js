// The list of runs: states follow what the runs do; a run that appears, here or in a terminal, is added.
"use strict";

const list = document.querySelector("[data-runs]");
const rows = new Map([...list.querySelectorAll("[data-run]")].map(row => [row.dataset.run, row]));
every(() => 3, async () => {
  let runs;
  try { runs = await ask("/train/runs"); } catch (error) { say(error.message); return; }
  say("");
  if (runs.length !== rows.size || runs.some(run => !rows.has(run.name))) { location.reload(); return; }
  for (const run of runs) write(rows.get(run.name), run);
});
