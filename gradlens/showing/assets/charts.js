// Interactive figures: a Vega-Lite specification each, drawn when it comes into view, in the page's colours.
"use strict";
(() => {
  const { rows } = window.gradlens;
  const views = new Map();
  window.gradlens.views = views;

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function config() {
    const ink = colour("--ink"), soft = colour("--soft"), line = colour("--line");
    return {
      background: "transparent",
      font: "system-ui, sans-serif",
      view: { stroke: line },
      axis: { labelColor: soft, titleColor: ink, gridColor: line, domainColor: line, tickColor: line, titleFontWeight: 500 },
      legend: { labelColor: soft, titleColor: ink, titleFontWeight: 500 },
      header: { labelColor: ink, titleColor: ink },
      title: { color: ink },
    };
  }

  // A pair of a symmetric matrix stands on both sides of the diagonal.
  function mirrored(pairs) {
    const turned = pairs.map((one) => ({
      ...one, signal_a: one.signal_b, signal_b: one.signal_a, stage_a: one.stage_b, stage_b: one.stage_a,
      order_a: one.order_b, order_b: one.order_a,
    }));
    return pairs.concat(turned);
  }

  async function draw(holder) {
    const spec = JSON.parse(holder.querySelector("script").textContent);
    const from = spec.usermeta;
    if (from.tables.length) {
      const values = from.tables.flatMap(([space, name]) => rows(name).map((row) => ({ ...row, space })));
      spec.data = { values: from.mirrored ? mirrored(values) : values };
    }
    const place = holder.querySelector(".view");
    const kept = views.get(holder.dataset.chart);
    const choices = kept ? (spec.params || []).map((one) => [one.name, kept.view.signal(one.name)]) : [];
    if (kept) kept.finalize();
    const tools = holder.querySelector(".tools");
    tools.replaceChildren();
    const made = await vegaEmbed(place, spec, {
      bind: tools,
      renderer: from.renderer || "svg", config: config(), tooltip: { theme: document.documentElement.dataset.theme },
      actions: { export: true, source: false, compiled: false, editor: false },
      downloadFileName: `gradlens-${holder.dataset.chart}`,
    });
    for (const [name, value] of choices) made.view.signal(name, value);
    if (choices.length) await made.view.runAsync();
    views.set(holder.dataset.chart, made);
    holder.dataset.ready = "yes";
  }

  const holders = [...document.querySelectorAll("[data-chart]")];
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "300px" });
  document.documentElement.classList.add("live");
  holders.forEach((holder) => seen.observe(holder));
  document.addEventListener("themechange", () => {
    holders.filter((holder) => holder.dataset.ready).forEach((holder) => draw(holder));
  });
})();
