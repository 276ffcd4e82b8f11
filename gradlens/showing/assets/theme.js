// Light, dark, or the system's theme; the choice is stored if the browser allows it.
"use strict";
(() => {
  const CHOICES = ["system", "light", "dark"];
  const button = document.getElementById("theme");
  let choice = "system";
  try { choice = localStorage.getItem("gradlens-theme") || "system"; } catch { /* a page opened from a file may have no storage */ }

  function dark() {
    return choice === "dark" || (choice === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  }

  function apply() {
    document.documentElement.dataset.theme = dark() ? "dark" : "light";
    button.textContent = `Theme: ${choice}`;
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
