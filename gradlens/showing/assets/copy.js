// Copies of figures (PNG, SVG, data) and commands; if the browser refuses the clipboard, they are saved as a file.
"use strict";
(() => {
  const { table, make } = window.gradlens;
  const SCALE = 2;  // pixels of a PNG for one of the page

  const decoded = (address) => new TextDecoder().decode(Uint8Array.from(atob(address.split(",")[1]), (letter) => letter.charCodeAt(0)));

  // The SVG of a figure on white: the view of an interactive one as it is set, else the still picture.
  async function drawing(figure) {
    const chart = figure.querySelector("[data-chart]");
    if (chart && window.gradlens.still) return window.gradlens.still(chart);
    return decoded(figure.querySelector(".picture img").src);
  }

  async function pixels(svg) {
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
    await image.decode();
    const canvas = make("canvas", { width: image.naturalWidth * SCALE, height: image.naturalHeight * SCALE });
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#ffffff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => { canvas.toBlob(done, "image/png"); });
  }

  // The table of a figure, separated by tabs as spreadsheets paste it.
  function data(name) {
    const { columns, rows } = table(name);
    const cell = (value) => (value === null || value === undefined ? "" : String(value).replace(/[\t\n]/g, " "));
    const lines = Array.from({ length: rows }, (_, i) => columns.map((column) => cell(column.values[i])).join("\t"));
    return [columns.map((column) => column.name).join("\t"), ...lines].join("\n");
  }

  function save(blob, name) {
    const link = make("a", { href: URL.createObjectURL(blob), download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  // Puts a promise of a blob on the clipboard, or saves it; returns what was done.
  async function copy(type, promise, name) {
    try {
      if (type === "image/png") await navigator.clipboard.write([new ClipboardItem({ [type]: promise })]);
      else await navigator.clipboard.writeText(await (await promise).text());
      return "copied";
    } catch {
      save(await promise, name);
      return "saved";
    }
  }

  function button(text, label, type, make_, name) {
    const status = make("span", { role: "status", class: "small" });
    let waiting;
    const element = make("button", { type: "button", "aria-label": label, onclick: async () => {
      const done = await copy(type, make_(), name).catch(() => "failed");
      element.dataset.done = done;
      status.textContent = ` ${done}`;
      clearTimeout(waiting);
      waiting = setTimeout(() => { status.textContent = ""; }, 2500);
    } }, text);
    return [element, status];
  }

  const text = (promise, type) => Promise.resolve(promise).then((value) => new Blob([value], { type }));
  for (const figure of document.querySelectorAll("[data-figure]")) {
    const name = figure.dataset.figure, title = (figure.querySelector("h2") ?? figure.closest("section").querySelector("h2")).textContent;
    figure.querySelector(".copies").append("Copy ",
      ...button("PNG", `Copy ${title} as PNG`, "image/png", () => drawing(figure).then(pixels), `${name}.png`),
      ...button("SVG", `Copy ${title} as SVG`, "text/plain", () => text(drawing(figure), "image/svg+xml"), `${name}.svg`),
      ...(table(name) ? button("data", `Copy the data of ${title}`, "text/plain", () => text(data(name), "text/tab-separated-values"), `${name}.tsv`) : []));
  }
  for (const line of document.querySelectorAll(".command")) {
    const command = line.querySelector("code");
    line.append(" ", ...button("Copy", `Copy ${command.textContent}`, "text/plain", () => text(command.textContent, "text/plain"), "command.txt"));
  }
})();
