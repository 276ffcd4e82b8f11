// Light, dark, or the system's theme; the choice is stored if the browser allows it.
"use strict";
(() => {
  const PAPER = "#15181c", INK = "#e6e9ec";  // of a dark page
  const CHOICES = ["system", "light", "dark"];
  const button = document.getElementById("theme");
  let choice = "system";
  try { choice = localStorage.getItem("gradlens-theme") || "system"; } catch { /* a page opened from a file may have no storage */ }

  function dark() {
    return choice === "dark" || (choice === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  }

  // A still picture has black ink on white: on a dark page its paper, ink and lines take the colours of the page. Letters
  // in cells and marks with a colour keep theirs.
  function darkened(svg) {
    const levels = (text) => [1, 3, 5].map((k) => parseInt(text.slice(k, k + 2), 16));
    return svg
      .replace("<svg ", `<svg fill="${INK}" `)
      .replace(/(fill|stroke): (#[0-9a-f]{6})/g, (whole, what, hex) => {
        const [r, g, b] = levels(hex);
        if (Math.max(r, g, b) - Math.min(r, g, b) > 24 || hex === "#ffffff") return whole;
        const level = Math.round(235 - 0.8 * g).toString(16).padStart(2, "0");
        return `${what}: #${level.repeat(3)}`;
      })
      .replace(/fill: #ffffff; stroke: /g, `fill: ${PAPER}; stroke: `)  // open marks
      .replace(/(<g id="patch_\d+"> ?<path d="[^"]*"(?: clip-path="[^"]*")? style="fill: )#ffffff/g, `$1${PAPER}`);
  }

  // The dark picture stands beside the light one, which is printed.
  function paint(picture) {
    if (picture.classList.contains("painted")) return;
    const image = picture.querySelector("img"), twin = image.cloneNode();
    const svg = new TextDecoder().decode(Uint8Array.from(atob(image.src.split(",")[1]), (letter) => letter.charCodeAt(0)));
    twin.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(darkened(svg))}`;
    twin.className = "dark";
    image.after(twin);
    picture.classList.add("painted");
  }

  function apply() {
    document.documentElement.dataset.theme = dark() ? "dark" : "light";
    button.textContent = `Theme: ${choice}`;
    if (dark()) document.querySelectorAll(".picture").forEach(paint);
    document.dispatchEvent(new CustomEvent("themechange"));
  }

  button.hidden = false;
  button.addEventListener("click", () => {
    choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
    try { localStorage.setItem("gradlens-theme", choice); } catch { /* then the choice lasts as long as the page */ }
    apply();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  apply();
})();
