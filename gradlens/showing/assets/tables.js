// Tables that are sorted by a click on a heading and filtered by the typed text.
"use strict";
(() => {
  const { table, formatCell, make } = window.gradlens;
  const STEP = 100;
  const collator = new Intl.Collator("en", { numeric: true });

  const UNITS = { k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

  // Parses the typed text into tests, all of which a row must pass: words anywhere, or `effective rank > 0.5`, `stage=8`.
  // A malformed condition is reported; it is not searched for as a word.
  function tests(text, columns) {
    const escaped = columns.flatMap((column) => [column.name, column.heading]).sort((a, b) => b.length - a.length)
      .map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    const pattern = new RegExp(`(?:(${escaped.join("|")})\\s*(<=|>=|!=|=|<|>)\\s*("[^"]*"|\\S*))|"([^"]*)"|(\\S+)`, "gi");
    const filter = { tests: [], unclear: [] };
    for (const [, name, sign, operand, quoted, word] of text.matchAll(pattern)) {
      if (name) {
        const column = columns.find((candidate) => [candidate.name, candidate.heading].some((text) => text.toLowerCase() === name.toLowerCase()));
        const value = operand.replace(/^"|"$/g, "");
        if (!value) filter.unclear.push(`no value after ${name}${sign}`);
        else if (column.number && Number.isNaN(number(value))) filter.unclear.push(`${value} is not a number`);
        else filter.tests.push(comparison(column, sign, value));
      } else if (word && /[<>=]/.test(word)) {
        filter.unclear.push(`no column for ${word}`);
      } else {
        const phrase = (quoted ?? word).toLowerCase();
        filter.tests.push((i) => columns.some((column) => formatCell(column.values[i], column.kind).toLowerCase().includes(phrase)));
      }
    }
    return filter;
  }

  // Parses a typed number; a minus sign (\u2212) and a prefix (k, M, G, T) are allowed, as in the tables.
  function number(text) {
    const [, digits, unit] = /^(.*?)\s*([kmgt]?)$/i.exec(text.replace("\u2212", "-"));
    return digits === "" ? NaN : Number(digits) * (UNITS[unit.toLowerCase()] ?? 1);
  }

  function comparison(column, sign, operand) {
    const limit = number(operand);
    return (i) => {
      const value = column.values[i];
      if (value === null) return false;
      const order = typeof value === "number" ? value - limit : collator.compare(formatCell(value, column.kind), operand);
      return { "<": order < 0, ">": order > 0, "<=": order <= 0, ">=": order >= 0, "=": order === 0, "!=": order !== 0 }[sign];
    };
  }

  function comparator(values, descending) {
    return (i, j) => {
      const a = values[i], b = values[j];
      if (a === null || b === null) return (a === null) - (b === null) || i - j;  // missing values last
      const order = typeof a === "string" || typeof b === "string" ? collator.compare(String(a), String(b)) : a - b;
      return (descending ? -order : order) || i - j;
    };
  }

  function enhance(region) {
    const content = table(region.dataset.rows);
    if (!content) return;
    const body = region.querySelector("tbody"), heads = [...region.querySelectorAll("thead th")];
    const visible = content.columns.filter((column) => !column.hidden);
    const reaches = new Map(visible.map((column) => [column, content.columns.find((other) => other.name === column.reach)]));
    const state = { sorted: -1, descending: false, text: "", most: STEP };
    const status = make("span", { role: "status", class: "small" });
    const more = make("button", { type: "button", onclick: () => { state.most += 5 * STEP; draw(); } }, "Show more rows");
    const field = make("input", {
      type: "search", placeholder: "words, or rms > 0.5", "aria-label": `Filter ${region.getAttribute("aria-label")}`,
      oninput: () => { state.text = field.value; state.most = STEP; draw(); },
    });
    region.before(make("div", { class: "tools" }, make("label", {}, "Filter ", field), status));
    region.after(more);

    // A cell, with its half-width if it has one.
    function text(column, i) {
      const cell = formatCell(column.values[i], column.kind), reach = reaches.get(column);
      return reach && reach.values[i] !== null ? `${cell} \u00b1 ${formatCell(reach.values[i], reach.kind)}` : cell;
    }

    function draw() {
      const filter = tests(state.text, content.columns);
      const kept = [];
      for (let i = 0; i < content.rows; i += 1) if (filter.tests.every((test) => test(i))) kept.push(i);
      if (state.sorted >= 0) kept.sort(comparator(visible[state.sorted].values, state.descending));
      body.replaceChildren(...kept.slice(0, state.most).map((i) => make("tr", {}, ...visible.map((column) =>
        make("td", { class: column.number ? "number" : null }, text(column, i))))));
      more.hidden = kept.length <= state.most;
      const whole = content.total > content.rows ? `; the page contains the first ${content.rows} of ${content.total} rows` : "";
      status.textContent = ` ${Math.min(kept.length, state.most)} of ${kept.length} rows shown` +
        (kept.length < content.rows ? `, filtered from ${content.rows}` : "") + whole +
        (filter.unclear.length ? `. Not understood: ${filter.unclear.join(", ")}` : "");
      heads.forEach((head, k) => head.setAttribute("aria-sort",
        k !== state.sorted ? "none" : state.descending ? "descending" : "ascending"));
    }

    heads.forEach((head, k) => {
      const sort = make("button", { type: "button", class: "sort", onclick: () => {
        state.descending = state.sorted === k ? !state.descending : visible[k].number;
        state.sorted = k;
        draw();
      } });
      sort.append(...head.childNodes);
      head.append(sort);
    });
    draw();
  }

  // The small tables of the overview are sorted in place by a click on a heading and filtered by words.
  function makeSortable(table) {
    const body = table.querySelector("tbody"), heads = [...table.querySelectorAll("thead th")];
    const lines = [...body.rows];
    const value = (line, k) => {
      const text = line.cells[k].textContent.trim(), parsed = parseFloat(text.replace("\u2212", "-"));
      return text === "\u2013" ? null : Number.isNaN(parsed) ? text : parsed;
    };
    let sorted = -1, descending = false;
    heads.forEach((head, k) => {
      const sort = make("button", { type: "button", class: "sort", onclick: () => {
        [descending, sorted] = [sorted === k ? !descending : false, k];
        const values = lines.map((line) => value(line, k));
        const order = lines.map((_, i) => i).sort(comparator(values, descending));
        body.replaceChildren(...order.map((i) => lines[i]));
        heads.forEach((other, j) => other.setAttribute("aria-sort", j !== k ? "none" : descending ? "descending" : "ascending"));
      } });
      sort.append(...head.childNodes);
      head.append(sort);
    });
  }

  const overview = document.getElementById("overview")?.closest("section");
  if (overview) {
    const summaries = [...overview.querySelectorAll("table")];
    summaries.forEach(makeSortable);
    const field = make("input", { type: "search", placeholder: "words", "aria-label": "Filter the overview", oninput: () => {
      for (const line of summaries.flatMap((summary) => [...summary.tBodies[0].rows])) {
        const title = line.closest(".grid > div")?.querySelector("h3")?.textContent ?? "";
        const text = `${title} ${line.textContent}`.toLowerCase();
        line.hidden = !field.value.toLowerCase().split(/\s+/).every((word) => text.includes(word));
      }
    } });
    overview.querySelector("h2").after(make("div", { class: "tools" }, make("label", {}, "Filter ", field)));
  }

  // A table is filled when it is opened, because a page may contain many.
  for (const region of document.querySelectorAll("[data-rows]")) {
    const holder = region.closest("details");
    if (!holder || holder.open) enhance(region);
    else holder.addEventListener("toggle", () => enhance(region), { once: true });
  }
})();
