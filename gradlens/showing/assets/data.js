// The tables of the page, decoded once, and the formatting of their cells.
"use strict";
window.gradlens = (() => {
  const MINUS = "\u2212", DASH = "\u2013", NARROW = "\u202f";
  const decoded = new Map();

  // A table as columns of values; text comes as levels and codes.
  function table(name) {
    if (!decoded.has(name)) {
      const holder = document.querySelector(`script[data-table="${CSS.escape(name)}"]`);
      const content = holder ? JSON.parse(holder.textContent) : null;
      for (const column of content ? content.columns : []) {
        if (column.number) column.values = column.values.map((value) => (typeof value === "string" ? Number(value.replace("inf", "Infinity")) : value));
        if (column.codes) column.values = column.codes.map((code) => (code < 0 ? null : column.levels[code]));
      }
      decoded.set(name, content);
    }
    return decoded.get(name);
  }

  // The same table as one object per row.
  function rows(name) {
    const content = table(name);
    if (!content) return [];
    return Array.from({ length: content.rows }, (_, i) =>
      Object.fromEntries(content.columns.map((column) => [column.name, column.values[i]])));
  }

  // Rounds as Python does: ties go to the even digit. A double has fewer than 60 decimals.
  function fixed(value, digits) {
    const exact = value.toFixed(60), end = exact.indexOf(".") + digits + (digits ? 1 : 0);
    const tie = /^\.?50*$/.test(exact.slice(end)), even = "02468".includes(exact[end - 1]);
    return tie && even ? exact.slice(0, end) : value.toFixed(digits);
  }

  function scaled(value, base, prefixes) {
    let step = 0;
    while (step + 1 < prefixes.length && value >= base * 0.9995) { value /= base; step += 1; }
    const whole = value >= 99.95 || (step === 0 && Number.isInteger(value));
    return (fixed(value, whole ? 0 : value >= 9.995 ? 1 : 2) + NARROW + prefixes[step]).replace(/\u202f$/, "");
  }

  function significant(value) {
    if (value === 0) return "0";
    if (!Number.isFinite(value)) return "\u221e";
    if (value < 1e-3 || value >= 1e5) {
      const [mantissa, exponent] = value.toExponential(2).split("e");
      return `${mantissa}e${Number(exponent)}`;
    }
    if (value < 0.1) return String(Number(fixed(value, value < 0.01 ? 5 : 4)));
    return fixed(value, value >= 99.95 ? 0 : value >= 9.9995 ? 1 : 3);
  }

  // A cell as text, with the format of gradlens.numbers. Kinds: text, flag, integer, count, bytes, number.
  function formatCell(value, kind) {
    if (value === null || value === undefined || Number.isNaN(value)) return DASH;
    if (typeof value === "boolean") return value ? "yes" : "no";
    if (typeof value !== "number") return String(value);
    const size = Math.abs(value);
    let text = significant(size);
    if (kind === "count") text = scaled(size, 1000, ["", "k", "M", "G", "T", "P"]);
    else if (kind === "bytes") text = scaled(size, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
    else if (kind === "integer") text = String(size);
    return (value < 0 && /[1-9\u221e]/.test(text) ? MINUS : "") + text;
  }

  function layersOf(count) {
    return `${count} weighted layer${count === 1 ? "" : "s"}`;
  }

  // An element with attributes and children; strings become text, never markup.
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  return { table, rows, formatCell, layersOf, make };
})();
