// What the theme lacks for people who use the keyboard or listen: names, and a stop at whatever scrolls.
"use strict";
addEventListener("load", () => {
  document.querySelector("[data-md-component=search]").setAttribute("aria-label", "Search");
  document.querySelectorAll(".md-code__nav").forEach((nav, number) => nav.setAttribute("aria-label", `Code ${number + 1}`));
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code, .md-content p:has(> img)")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
});
