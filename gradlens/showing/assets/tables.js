// Tables that sort by a click on a heading and keep the rows that match what is typed.
"use strict";
(() => {
  const { table, shown, make } = window.gradlens;
  const STEP = 100;
  const collator = new Intl.Collator("en", { numeric: true });

  const UNITS = { k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

  // What was typed as tests that a row must all pass: words anywhere, or `effective rank > 0.5`, `stage=8`.
  // What is not understood is told, not taken for a word that no row has.
  function tests(text, columns) {
    const escaped = columns.flatMap((one) => [one.name, one.heading]).sort((a, b) => b.length - a.length)
      .map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    const pattern = new RegExp(`(?:(${escaped.join("|")})\\s*(<=|>=|!=|=|<|>)\\s*("[^"]*"|\\S*))|"([^"]*)"|(\\S+)`, "gi");
    const found = { tests: [], unclear: [] };
    for (const [, name, sign, wanted, quoted, word] of text.matchAll(pattern)) {
      if (name) {
        const column = columns.find((one) => [one.name, one.heading].some((own) => own.toLowerCase() === name.toLowerCase()));
        const value = wanted.replace(/^"|"$/g, "");
        if (!value) found.unclear.push(`${name}${sign} what?`);
        else if (column.number && Number.isNaN(number(value))) found.unclear.push(`${value} is no number`);
        else found.tests.push(comparison(column, sign, value));
      } else if (word && /[<>=]/.test(word)) {
        found.unclear.push(`no column for ${word}`);
      } else {
        const sought = (quoted ?? word).toLowerCase();
        found.tests.push((i) => columns.some((one) => shown(one.values[i], one.kind).toLowerCase().includes(sought)));
      }
    }
    return found;
  }

  // A number as it is typed: with a true minus, or a prefix as the table writes it.
  function number(text) {
    const [, digits, unit] = /^(.*?)\s*([kmgt]?)$/i.exec(text.replace("\u2212", "-"));
    return digits === "" ? NaN : Number(digits) * (UNITS[unit.toLowerCase()] ?? 1);
  }

  function comparison(column, sign, wanted) {
    const limit = number(wanted);
    return (i) => {
      const value = column.values[i];
      if (value === null) return false;
      const order = typeof value === "number" ? value - limit : collator.compare(shown(value, column.kind), wanted);
      return { "<": order < 0, ">": order > 0, "<=": order <= 0, ">=": order >= 0, "=": order === 0, "!=": order !== 0 }[sign];
    };
  }

  function compared(values, falling) {
    return (i, j) => {
      const a = values[i], b = values[j];
      if (a === null || b === null) return (a === null) - (b === null) || i - j;  // missing values stand last
      const order = typeof a === "string" || typeof b === "string" ? collator.compare(String(a), String(b)) : a - b;
      return (falling ? -order : order) || i - j;
    };
  }

  function enhance(region) {
    const content = table(region.dataset.rows);
    if (!content) return;
    const body = region.querySelector("tbody"), heads = [...region.querySelectorAll("thead th")];
    const state = { sorted: -1, falling: false, text: "", most: STEP };
    const status = make("span", { role: "status", class: "small" });
    const more = make("button", { type: "button", onclick: () => { state.most += 5 * STEP; draw(); } }, "Show more rows");
    const field = make("input", {
      type: "search", placeholder: "words, or rms > 0.5", "aria-label": `Filter ${region.getAttribute("aria-label")}`,
      oninput: () => { state.text = field.value; state.most = STEP; draw(); },
    });
    region.before(make("div", { class: "tools" }, make("label", {}, "Filter ", field), status));
    region.after(more);

    function draw() {
      const asked = tests(state.text, content.columns);
      const kept = [];
      for (let i = 0; i < content.rows; i += 1) if (asked.tests.every((test) => test(i))) kept.push(i);
      if (state.sorted >= 0) kept.sort(compared(content.columns[state.sorted].values, state.falling));
      body.replaceChildren(...kept.slice(0, state.most).map((i) => make("tr", {}, ...content.columns.map((column) =>
        make("td", { class: column.number ? "number" : null }, shown(column.values[i], column.kind))))));
      more.hidden = kept.length <= state.most;
      const whole = content.total > content.rows ? `, the first of ${content.total}` : "";
      status.textContent = ` ${Math.min(kept.length, state.most)} of ${kept.length} rows shown` +
        (kept.length < content.rows ? ` (${content.rows} in all${whole})` : whole) +
        (asked.unclear.length ? `. Not understood: ${asked.unclear.join(", ")}` : "");
      heads.forEach((head, k) => head.setAttribute("aria-sort",
        k !== state.sorted ? "none" : state.falling ? "descending" : "ascending"));
    }

    heads.forEach((head, k) => {
      const sort = make("button", { type: "button", class: "sort", onclick: () => {
        state.falling = state.sorted === k ? !state.falling : content.columns[k].number;
        state.sorted = k;
        draw();
      } });
      sort.append(...head.childNodes);
      head.append(sort);
    });
    draw();
  }

  // The small tables of the overview: as they stand, sorted by a click on a heading; rows found by words.
  function order(small) {
    const body = small.querySelector("tbody"), heads = [...small.querySelectorAll("thead th")];
    const lines = [...body.rows];
    const value = (line, k) => {
      const text = line.cells[k].textContent.trim(), read = parseFloat(text.replace("\u2212", "-"));
      return text === "\u2013" ? null : Number.isNaN(read) ? text : read;
    };
    let sorted = -1, falling = false;
    heads.forEach((head, k) => {
      const sort = make("button", { type: "button", class: "sort", onclick: () => {
        [falling, sorted] = [sorted === k ? !falling : false, k];
        const values = lines.map((line) => value(line, k));
        const places = lines.map((_, i) => i).sort(compared(values, falling));
        body.replaceChildren(...places.map((i) => lines[i]));
        heads.forEach((one, j) => one.setAttribute("aria-sort", j !== k ? "none" : falling ? "descending" : "ascending"));
      } });
      sort.append(...head.childNodes);
      head.append(sort);
    });
  }

  const overview = document.getElementById("overview")?.closest("section");
  if (overview) {
    const small = [...overview.querySelectorAll("table")];
    small.forEach(order);
    const field = make("input", { type: "search", placeholder: "words", "aria-label": "Filter the overview", oninput: () => {
      for (const line of small.flatMap((one) => [...one.tBodies[0].rows])) {
        const title = line.closest(".grid > div")?.querySelector("h3")?.textContent ?? "";
        const text = `${title} ${line.textContent}`.toLowerCase();
        line.hidden = !field.value.toLowerCase().split(/\s+/).every((word) => text.includes(word));
      }
    } });
    overview.querySelector("h2").after(make("div", { class: "tools" }, make("label", {}, "Filter ", field)));
  }

  // A table is made when it is opened: a page may hold many.
  for (const region of document.querySelectorAll("[data-rows]")) {
    const holder = region.closest("details");
    if (!holder || holder.open) enhance(region);
    else holder.addEventListener("toggle", () => enhance(region), { once: true });
  }
})();
