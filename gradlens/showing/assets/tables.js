// Tables that sort by a click on a heading and keep the rows that match what is typed.
"use strict";
(() => {
  const { table, shown, make } = window.gradlens;
  const STEP = 100;
  const collator = new Intl.Collator("en", { numeric: true });

  // What was typed as tests that a row must all pass: words anywhere, or `column > 0.5`, `stage=8`.
  function tests(text, columns) {
    const pattern = /([\w]+)\s*(<=|>=|!=|=|<|>)\s*("[^"]*"|\S+)|"([^"]*)"|(\S+)/g;
    return [...text.matchAll(pattern)].map(([whole, name, sign, wanted, quoted, word]) => {
      const column = columns.find((one) => one.name === name);
      if (column) return comparison(column, sign, wanted.replace(/^"|"$/g, ""));
      const sought = (quoted ?? word ?? whole).toLowerCase();
      return (i) => columns.some((one) => shown(one.values[i], one.kind).toLowerCase().includes(sought));
    });
  }

  function comparison(column, sign, wanted) {
    const number = Number(wanted.replace("\u2212", "-"));
    return (i) => {
      const value = column.values[i];
      if (value === null) return false;
      const order = typeof value === "number" ? value - number : collator.compare(shown(value, column.kind), wanted);
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
      type: "search", placeholder: "words, or column>0.5", "aria-label": `Filter ${region.getAttribute("aria-label")}`,
      oninput: () => { state.text = field.value; state.most = STEP; draw(); },
    });
    region.before(make("div", { class: "tools" }, make("label", {}, "Filter ", field), status));
    region.after(more);

    function draw() {
      const passes = tests(state.text, content.columns);
      const kept = [];
      for (let i = 0; i < content.rows; i += 1) if (passes.every((test) => test(i))) kept.push(i);
      if (state.sorted >= 0) kept.sort(compared(content.columns[state.sorted].values, state.falling));
      body.replaceChildren(...kept.slice(0, state.most).map((i) => make("tr", {}, ...content.columns.map((column) =>
        make("td", { class: column.number ? "number" : null }, shown(column.values[i], column.kind))))));
      more.hidden = kept.length <= state.most;
      const whole = content.total > content.rows ? `, the first of ${content.total}` : "";
      status.textContent = ` ${Math.min(kept.length, state.most)} of ${kept.length} rows shown` +
        (kept.length < content.rows ? ` (${content.rows} in all${whole})` : whole);
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

  // A table is made when it is opened: a page may hold many.
  for (const region of document.querySelectorAll("[data-rows]")) {
    const holder = region.closest("details");
    if (!holder || holder.open) enhance(region);
    else holder.addEventListener("toggle", () => enhance(region), { once: true });
  }
})();
