// The contents: a column that marks the section on the screen, or on a narrow screen a menu. Figures are folded in it.
"use strict";
(() => {
  const menu = document.querySelector(".contents");
  if (!menu) return;
  const narrow = matchMedia("(max-width: 70rem)");
  const fit = () => { menu.open = !narrow.matches; };
  narrow.addEventListener("change", fit);
  fit();

  const close = () => { if (narrow.matches) menu.open = false; };
  menu.addEventListener("click", (event) => { if (event.target.closest("a")) close(); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && narrow.matches && menu.open) { close(); menu.querySelector("summary").focus(); }
  });
  document.addEventListener("click", (event) => { if (!event.target.closest(".side")) close(); });

  // The last heading in the upper third of the window, or above, is that of the section on the screen.
  const links = [...menu.querySelectorAll("a")];
  const heads = links.map((link) => document.getElementById(decodeURIComponent(link.hash.slice(1))));
  let waiting = false;
  function mark() {
    waiting = false;
    const index = scrollY === 0 ? 0 : heads.findLastIndex((head) => head && head.getBoundingClientRect().top < innerHeight / 3);
    links[Math.max(index, 0)].closest(".group")?.setAttribute("open", "");
    links.forEach((link, i) => (i === Math.max(index, 0) ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current")));
  }
  addEventListener("scroll", () => { if (!waiting) { waiting = true; requestAnimationFrame(mark); } }, { passive: true });
  mark();

  // A place of "where to look" is shown on the map, which the link scrolls to.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-signals]");
    if (!link) return;
    const { network, signals, site } = link.dataset, names = JSON.parse(signals);
    document.dispatchEvent(new CustomEvent("gradlens:show", { detail: { network, signals: names, signal: names[0] ?? "", site } }));
  });

  // What is folded on the screen is printed, but not the tables.
  const folded = [...document.querySelectorAll("details.printed:not([open])")];
  addEventListener("beforeprint", () => folded.forEach((one) => { one.dataset.was = one.open ? "open" : ""; one.open = true; }));
  addEventListener("afterprint", () => folded.forEach((one) => { one.open = one.dataset.was === "open"; }));
})();
