// The frame of the map: how large the drawing is, which part of it is visible, and the strip that shows and moves that part.
"use strict";
(() => {
  const { make, mapping } = window.gradlens;
  const { svg, stageTitle } = mapping;
  const READABLE = 0.8;  // scale at which labels are readable
  const LEAST = 0.6, MOST = 1.3;  // of the scale of what is fitted
  const NARROW = 520;  // pixels: below, boxes are closer and stages have short labels
  const STRIP = 36;  // height of the strip in pixels
  const FREE = "free", WHOLE = "all", LEGIBLE = "readable";

  class Frame {
    constructor(redraw) {
      this.redraw = redraw;
      this.fit = WHOLE;
      this.canvas = make("div", {
        class: "scroll canvas", id: "map-canvas", tabindex: "0", role: "region", "aria-label": "Network map", onscroll: () => this.follow() });
      this.holder = make("div", { class: "frame" }, this.canvas);
      this.strip = make("div", {
        class: "strip", role: "scrollbar", tabindex: "0", hidden: true, "aria-label": "Visible part of the map", "aria-controls": "map-canvas",
        "aria-orientation": "horizontal", "aria-valuemin": "0", "aria-valuemax": "100",
        onpointerdown: (event) => { this.strip.setPointerCapture(event.pointerId); this.drag(event); },
        onpointermove: (event) => { if (event.buttons) this.drag(event); },
        onkeydown: (event) => this.key(event),
      });
      this.choice = make("select", { "aria-label": "Part that fits the frame", onchange: () => this.choose(this.choice.value) });
      const zooms = [["\u2212", 0.8, "Smaller"], ["+", 1.25, "Larger"]].map(([text, by, title]) =>
        make("button", { type: "button", "aria-label": title, onclick: () => this.zoom(by) }, text));
      this.tools = [make("label", {}, "Fit ", this.choice), make("span", { role: "group", "aria-label": "Size" }, ...zooms)];
      this.watch = new ResizeObserver(() => this.resized());
      this.watch.observe(this.canvas);
    }

    get narrow() {
      return this.canvas.clientWidth > 0 && this.canvas.clientWidth < NARROW;
    }

    // A stage that is chosen is opened by the map, then fitted.
    choose(fit) {
      this.fit = fit;
      this.redraw(fit);
    }

    zoom(by) {
      const middle = (this.canvas.scrollLeft + this.canvas.clientWidth / 2) / this.scale;
      Object.assign(this, { fit: FREE, scale: this.scale * by });
      this.size();
      this.centre(middle);
    }

    // After a change of level: all of it if that is readable, else at a readable size.
    readable() {
      this.fit = LEGIBLE;
    }

    resized() {
      if (!this.picture) return;
      if (this.narrow !== this.drawnNarrow) this.redraw();
      else this.size();
    }

    // Shows a new drawing. The visible part stays where it is, unless a stage is fitted.
    show(picture, arrangement, item) {
      Object.assign(this, { picture, arrangement, drawnNarrow: this.narrow });
      const scroll = this.canvas.scrollLeft;
      this.canvas.replaceChildren(picture);
      this.offer();
      this.size();
      if (!this.band()) this.canvas.scrollLeft = scroll;
      this.thumbnail(item);
    }

    offer() {
      const stages = this.arrangement.bands.map(({ group }) => [`stage:${group}`, stageTitle(group)]);
      if (![FREE, WHOLE, LEGIBLE, ...stages.map(([key]) => key)].includes(this.fit)) this.fit = WHOLE;
      this.choice.replaceChildren(...[[WHOLE, "whole map"], [LEGIBLE, "readable size"], ...stages, [FREE, "other size"]].map(([value, text]) =>
        make("option", { value, hidden: value === FREE }, text)));
    }

    band() {
      return this.arrangement.bands.find(({ group }) => this.fit === `stage:${group}`);
    }

    size() {
      const { width, height } = this.arrangement, room = this.canvas.clientWidth - 2, band = this.band();
      const whole = Math.min(MOST, room > 0 ? room / width : 1);
      if (this.fit === LEGIBLE && whole >= READABLE) this.fit = WHOLE;
      if (this.fit === WHOLE) this.scale = whole;
      if (this.fit === LEGIBLE) this.scale = READABLE;
      if (band) this.scale = Math.min(MOST, Math.max(LEAST, whole, room / (band.right - band.left)));
      this.picture.setAttribute("width", width * this.scale);
      this.picture.setAttribute("height", height * this.scale);
      this.choice.value = this.fit;
      if (band) this.canvas.scrollLeft = band.left * this.scale;
      this.follow();
    }

    // Makes boxes readable and moves them into sight: all of them if they are near to each other, else the first.
    reach(items) {
      const span = (some) => [Math.min(...some.map((item) => item.x - item.width)), Math.max(...some.map((item) => item.x + item.width))];
      const [left, right] = span(items), all = this.canvas.clientWidth / (right - left);
      const scale = Math.min(Math.max(this.scale, READABLE), Math.max(all, LEAST));
      if (scale !== this.scale) Object.assign(this, { fit: FREE, scale });
      this.size();
      this.centre(all >= LEAST ? (left + right) / 2 : items[0].x);
    }

    centre(x) {
      this.canvas.scrollLeft = x * this.scale - this.canvas.clientWidth / 2;
      this.follow();
    }

    thumbnail(colour) {
      const { all, width } = this.arrangement, items = all.flatMap((drawn) => drawn.items);
      const top = Math.min(...items.map((item) => item.y - item.height)), bottom = Math.max(...items.map((item) => item.y + item.height));
      const boxes = items.map((item) => svg("rect", {
        x: item.x - item.width / 2, y: item.y - item.height / 2, width: item.width, height: item.height, fill: colour(item) }));
      this.window = svg("rect", { class: "window", y: top, height: bottom - top });
      const look = { viewBox: `0 ${top} ${width} ${bottom - top}`, preserveAspectRatio: "none", height: STRIP, "aria-hidden": "true" };
      this.strip.replaceChildren(svg("svg", look, ...boxes, this.window));
      this.follow();
    }

    // The strip is there if a part of the drawing is out of sight; its window is the visible part.
    follow() {
      const { canvas, strip } = this, [left, visible, whole] = [canvas.scrollLeft, canvas.clientWidth, canvas.scrollWidth];
      strip.hidden = whole <= visible + 1;
      this.holder.classList.toggle("more-left", left > 1);
      this.holder.classList.toggle("more-right", left + visible < whole - 1);
      strip.setAttribute("aria-valuenow", whole > visible ? Math.round(100 * left / (whole - visible)) : 0);
      if (!this.window) return;
      this.window.setAttribute("x", left / this.scale);
      this.window.setAttribute("width", visible / this.scale);
    }

    drag(event) {
      const { left, width } = this.strip.getBoundingClientRect();
      this.centre((event.clientX - left) / width * this.arrangement.width);
    }

    key(event) {
      const page = this.canvas.clientWidth;
      const steps = { ArrowLeft: -page / 4, ArrowRight: page / 4, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity };
      if (!(event.key in steps)) return;
      event.preventDefault();
      this.canvas.scrollLeft = Math.min(Math.max(this.canvas.scrollLeft + steps[event.key], 0), this.canvas.scrollWidth);
      this.follow();
    }
  }

  Object.assign(mapping, { Frame, READABLE });
})();
