// A sign at the edge of what can be scrolled sideways: it fades, and a line below says so.
"use strict";
(() => {
  const { make } = window.gradlens;
  const SLACK = 6;  // pixels, less than the padding of a cell
  function update(region) {
    const left = region.scrollLeft > SLACK, right = region.scrollLeft + region.clientWidth < region.scrollWidth - SLACK;
    const sides = [left && "left", right && "right"].filter(Boolean).join(" ");
    if (sides) region.dataset.more = sides;
    else delete region.dataset.more;
  }
  // The map has signs of its own.
  const sizes = new ResizeObserver((entries) => entries.forEach((entry) => update(entry.target.closest("[data-scrolls]") ?? entry.target)));
  window.gradlens.scrolls = (region) => {
    if ("scrolls" in region.dataset) return region;
    region.dataset.scrolls = "";
    region.after(make("p", { class: "hint", "aria-hidden": "true" }, "\u2194 scroll sideways to see the rest"));
    region.addEventListener("scroll", () => update(region), { passive: true });
    sizes.observe(region);
    [...region.children].forEach((child) => sizes.observe(child));
    return region;
  };
  document.querySelectorAll(".scroll:not(.map *), .data").forEach(window.gradlens.scrolls);
})();
