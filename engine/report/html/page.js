"use strict";
// What the page cannot do without a script: reading values off the charts, zooming,
// choosing what is shown, saving the data, and dark or light. The charts themselves are
// drawn already; this draws them again, by the same rules, when the time axis changes.
(() => {
const text = document.getElementById("report").textContent;
const report = JSON.parse(text);
const probes = report.probes || [];
const stepOf = (s) => s.step_s || 1;
const MOST = 240; // bins of a lane, as in the drawing
const STEPS = [1, 2, 3, 5, 6, 10, 12, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
const TOP = 40, BOTTOM = 960, LEAST_BAD = 60;
const clamp = (v, lo, hi) => Math.min(Math.max(v, lo), hi);

// Numbers as the rest of the page writes them.
const number = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ",");
const trim = (v, digits) => { const s = v.toFixed(digits); return s.includes(".") ? s.replace(/\.?0+$/, "") : s; };
const goodShare = (v) => trim(Math.floor(v * 1e5 + 1e-7) / 1e3, 3) + " %";
const lapse = (s) => s < .00995 ? trim(s * 1000, 2) + " ms" : s < .9995 ? trim(s * 1000, 0) + " ms" : s < 9.995 ? trim(s, 2) + " s" : s < 59.95 ? trim(s, 1) + " s" : stamp(s * 1000);
const two = (n) => String(n).padStart(2, "0");
function stamp(ms) {
  if (ms < 60000) return trim(ms / 1000, 2) + " s";
  const s = Math.floor(ms / 1000), tenth = Math.floor(ms % 1000 / 100);
  const rest = tenth ? "." + tenth : "";
  return s < 3600 ? Math.floor(s / 60) + ":" + two(s % 60) + rest
    : Math.floor(s / 3600) + ":" + two(Math.floor(s / 60) % 60) + ":" + two(s % 60) + rest;
}

// bin sums up the seconds of a series that lie in [a, b), counted from the epoch.
function bin(series, objective, a, b) {
  const step = stepOf(series), start = Math.floor(Date.parse(series.start) / 1000);
  const course = objective < 0 ? null : series.objectives[objective];
  const good = course ? course.good : series.ok, bad = course ? course.bad : series.failed;
  const out = { good: 0, bad: 0, missing: 0, low: -1, high: -1, max: -1, least: null, most: null };
  const last = Math.min(Math.ceil((b - start) / step), series.ok.length);
  for (let k = Math.max(Math.ceil((a - start) / step), 0); k < last; k++) {
    out.good += good[k];
    out.bad += bad[k];
    out.missing += series.ok[k] + series.failed[k] + series.missing[k] - good[k] - bad[k];
    const m = series.median_s[k];
    if (m >= 0) {
      if (out.low < 0 || m < out.low) out.low = m;
      out.high = Math.max(out.high, m);
    }
    out.max = Math.max(out.max, series.max_s[k]);
    const v = series.value ? series.value[k] : null;
    if (v !== null && v !== undefined) {
      out.least = out.least === null ? v : Math.min(out.least, v);
      out.most = out.most === null ? v : Math.max(out.most, v);
    }
  }
  return out;
}

const heights = {
  share: (lo) => (v) => TOP + Math.round((BOTTOM - TOP) * clamp((1 - v) / (1 - lo), 0, 1)),
  latency: (lo, hi) => (v) => v <= lo ? BOTTOM
    : BOTTOM - Math.round((BOTTOM - TOP) * Math.min((Math.log10(v) - Math.log10(lo)) / (Math.log10(hi) - Math.log10(lo)), 1)),
  value: (lo, hi) => (v) => BOTTOM - Math.round((BOTTOM - TOP) * clamp((v - lo) / (hi - lo), 0, 1)),
};

function stairs(bins, height) {
  let d = "", on = false, last = 0;
  for (const b of bins) {
    const y = height(b);
    if (y === null) { on = false; continue; }
    if (!on) d += "M" + b.a + " " + y; else if (y !== last) d += "V" + y;
    d += "H" + b.b;
    on = true;
    last = y;
  }
  return d;
}
function band(bins, range) {
  let d = "";
  for (let i = 0; i < bins.length; i++) {
    const begin = i;
    let there = "", back = "";
    for (; i < bins.length; i++) {
      const r = range(bins[i]);
      if (!r) break;
      there += "V" + r[0] + "H" + bins[i].b;
      back = "V" + r[1] + "H" + bins[i].a + back;
    }
    if (i > begin) d += "M" + bins[begin].a + " " + range(bins[begin])[1] + there + back + "Z";
  }
  return d;
}

class Lane {
  constructor(chart, element) {
    const d = element.dataset;
    Object.assign(this, { chart, element, kind: d.kind, name: d.name, objective: Number(d.objective) });
    this.series = probes[Number(d.probe)].series;
    this.y = heights[d.kind](Number(d.lo), Number(d.hi));
    this.svg = element.querySelector("svg");
    this.read = element.querySelector(".read");
    this.targets = [...this.svg.querySelectorAll("path.target")].map((p) => p.getAttribute("d").match(/-?\d+/g).map(Number));
    this.title = element.querySelector(".title").textContent;
  }
  get shown() { return !this.element.hidden; }
  path(name, d) { this.svg.querySelector("path." + name).setAttribute("d", d); }
  draw(bins) {
    const y = this.y;
    if (this.kind === "share") {
      const depth = (b) => b.bad === 0 ? TOP : Math.max(y(b.good / (b.good + b.bad)), TOP + LEAST_BAD);
      this.path("none", bins.filter((b) => b.good + b.bad === 0 && b.missing > 0).map((b) => "M" + b.a + " 0V1000H" + b.b + "V0Z").join(""));
      const icicles = (all) => all.map((b) => "M" + b.a + " " + TOP + "V" + depth(b) + "H" + b.b + "V" + TOP + "Z").join("");
      const bad = bins.filter((b) => b.bad > 0);
      this.path("bad", icicles(bad));
      this.path("over", icicles(bad.filter((b) => this.targets.some(([from, height, to]) => from <= (b.a + b.b) / 2 && (b.a + b.b) / 2 < to && depth(b) > height))));
      this.path("good", stairs(bins, (b) => b.good + b.bad > 0 ? depth(b) : null));
    } else if (this.kind === "latency") {
      this.path("slowest", stairs(bins, (b) => b.max >= 0 ? y(b.max) : null));
      this.path("median", band(bins, (b) => b.low >= 0 ? [y(b.high), y(b.low)] : null));
    } else {
      this.path("median", band(bins, (b) => b.least !== null ? [y(b.most), y(b.least)] : null));
    }
  }
  say(b) {
    if (this.kind === "share") {
      const sent = b.good + b.bad;
      const missing = b.missing ? ", " + number(b.missing) + " missing" : "";
      return sent ? goodShare(b.good / sent) + " good, " + number(b.bad) + " bad of " + number(sent) + missing : "no samples" + missing;
    }
    if (this.kind === "latency") {
      if (b.low < 0) return "no latency";
      const low = lapse(b.low), high = lapse(b.high);
      return "median " + (low === high ? low : low + " to " + high) + ", slowest " + lapse(b.max);
    }
    if (b.least === null) return "no value";
    const least = String(Number(b.least.toPrecision(4))), most = String(Number(b.most.toPrecision(4)));
    return least === most ? least : least + " to " + most;
  }
}

class Chart {
  constructor(figure) {
    this.figure = figure;
    this.from = Number(figure.dataset.from);
    this.len = Number(figure.dataset.len);
    this.drawnStep = Number(figure.dataset.step);
    this.origin = Math.floor(this.from / 1000);
    this.seconds = Math.ceil((this.from + this.len) / 1000) - this.origin;
    this.stage = figure.querySelector(".stage");
    this.lanes = [...figure.querySelectorAll(".lane")].map((e) => new Lane(this, e));
    this.least = Math.max(1, ...this.lanes.map((l) => stepOf(l.series)));
    this.phases = [...figure.querySelectorAll(".phases li")].map((e) => ({ a: Number(e.dataset.a), b: Number(e.dataset.b), name: e.textContent.trim() }));
    this.faults = [...figure.querySelectorAll(".fault")].map((e) => ({ a: Number(e.dataset.a), b: Number(e.dataset.b), name: e.querySelector(".fault-name").firstChild.textContent }));
    this.view = [0, this.len];
    this.at = null;
    if (!this.lanes.length) return;
    this.build();
    this.place();
  }
  build() {
    const tools = this.figure.querySelector(".tools");
    tools.hidden = false;
    for (const box of tools.querySelectorAll("input")) {
      box.addEventListener("change", () => this.choose());
    }
    tools.querySelectorAll("button").forEach((b) => b.addEventListener("click", () => this.act(b.dataset.do)));
    this.buttons = Object.fromEntries([...tools.querySelectorAll("button")].map((b) => [b.dataset.do, b]));
    const make = (cls, parent) => { const e = document.createElement("div"); e.className = cls; parent.append(e); return e; };
    this.brush = make("brush", this.stage);
    this.brush.hidden = true;
    this.cursor = make("cursor", this.stage);
    this.cursor.append(document.createElement("b"));
    this.cursor.hidden = true;
    this.cursor.setAttribute("aria-hidden", "true");
    this.grip = make("grip", this.stage);
    const g = this.grip;
    g.tabIndex = 0;
    g.setAttribute("role", "slider");
    g.setAttribute("aria-label", "Time cursor: " + this.figure.querySelector("figcaption").textContent);
    g.setAttribute("aria-valuemin", "0");
    const hint = document.createElement("p");
    hint.className = "hint";
    hint.id = this.figure.id + "-hint";
    hint.textContent = "Point at the chart, or use the arrow keys on it, to read values; page keys move further. Drag over a stretch, or press + and −, to zoom; 0 shows the whole time.";
    this.stage.after(hint);
    g.setAttribute("aria-describedby", hint.id);
    g.addEventListener("keydown", (e) => this.key(e));
    g.addEventListener("focus", () => { if (this.at === null && g.matches(":focus-visible")) this.point(this.view[0]); });
    g.addEventListener("pointermove", (e) => this.move(e));
    g.addEventListener("pointerdown", (e) => {
      if (e.button !== 0) return;
      this.down = this.timeOf(e);
      g.setPointerCapture(e.pointerId);
      this.point(this.down);
    });
    g.addEventListener("pointerup", (e) => this.up(e));
    g.addEventListener("pointercancel", () => { this.down = undefined; this.brush.hidden = true; });
    g.addEventListener("pointerleave", () => { if (this.down === undefined && document.activeElement !== g) this.point(null); });
    g.addEventListener("dblclick", () => this.act("all"));
  }
  get step() {
    const [a, b] = this.view;
    if (a === 0 && b === this.len) return this.drawnStep;
    const s = Math.ceil((b - a) / 1000);
    return Math.max(STEPS.find((k) => k >= this.least && k % this.least === 0 && s / k <= MOST) || this.drawnStep, 1);
  }
  // edge is where the bin i begins, on the chart's axis.
  edge(i, step) { return (this.origin + i * step) * 1000 - this.from; }
  bins(lane, step, first, last) {
    const out = [];
    for (let i = first; i < last; i++) {
      const from = this.origin + i * step, to = Math.min(from + step, this.origin + this.seconds);
      out.push(Object.assign(bin(lane.series, lane.objective, from, to), { a: this.edge(i, step), b: this.edge(i + 1, step) }));
    }
    return out;
  }
  place() {
    const [a, b] = this.view, span = b - a;
    const whole = a === 0 && b === this.len;
    for (const e of this.stage.querySelectorAll("[data-a]")) {
      const from = Number(e.dataset.a), to = e.dataset.b === undefined ? null : Number(e.dataset.b);
      if (e.classList.contains("aim")) {
        e.hidden = to <= a || from >= b;
        e.style.left = (Math.max(from, a) - a) / span * 100 + "%";
        continue;
      }
      // What only begins before the view keeps its name in sight.
      const left = to === null ? from : Math.max(from, a), right = to === null ? null : Math.min(to, b);
      e.hidden = to === null ? from < a || from > b : right < left;
      e.style.left = (left - a) / span * 100 + "%";
      if (right !== null) e.style.width = (right - left) / span * 100 + "%";
      if (e.classList.contains("fault")) e.parentElement.classList.toggle("flip", (left - a) / span > .55);
    }
    const step = this.step;
    const first = Math.max(Math.floor((a + this.from - this.origin * 1000) / 1000 / step), 0);
    const last = Math.min(Math.ceil((b + this.from - this.origin * 1000) / 1000 / step), Math.ceil(this.seconds / step));
    for (const lane of this.lanes) {
      lane.svg.setAttribute("viewBox", a + " 0 " + span + " 1000");
      lane.draw(this.bins(lane, step, first, last));
    }
    this.axis();
    this.buttons.out.disabled = this.buttons.all.disabled = whole;
    this.buttons.in.disabled = span <= 2000 * this.least;
    this.grip.setAttribute("aria-valuemax", String(Math.round(this.len / 1000)));
    this.point(this.at === null ? null : clamp(this.at, a, b));
  }
  axis() {
    const [a, b] = this.view, span = b - a, axis = this.stage.querySelector(".axis");
    const width = axis.clientWidth || 900, most = clamp(Math.floor(width / 72), 3, 12);
    let step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 15000, 30000].concat(STEPS.slice(10).map((s) => s * 1000)).find((s) => span / s <= most);
    step = step || Math.ceil(span / most);
    axis.classList.add("live");
    axis.replaceChildren();
    for (let t = Math.ceil(a / step) * step; t <= b; t += step) {
      const mark = document.createElement("span");
      mark.textContent = stamp(t);
      mark.dataset.a = t;
      mark.style.left = (t - a) / span * 100 + "%";
      if ((t - a) / span > .97) mark.className = "last";
      axis.append(mark);
    }
  }
  point(at) {
    this.at = at;
    this.cursor.hidden = at === null;
    if (at === null) {
      for (const l of this.lanes) l.read.textContent = l.read.dataset.total;
      this.grip.setAttribute("aria-valuenow", "0");
      this.grip.setAttribute("aria-valuetext", "no moment chosen");
      return;
    }
    const [a, b] = this.view, step = this.step;
    const last = Math.ceil(this.seconds / step) - 1;
    const i = clamp(Math.floor((at + this.from - this.origin * 1000) / 1000 / step), 0, last);
    const share = (at - a) / (b - a);
    this.cursor.style.left = share * 100 + "%";
    this.cursor.classList.toggle("left", share < .08);
    this.cursor.classList.toggle("right", share > .92);
    const from = Math.max(this.edge(i, step), 0), to = Math.min(this.edge(i + 1, step), this.len);
    const phase = this.phases.find((p) => at >= p.a && at < p.b);
    const on = this.faults.filter((f) => at >= f.a && at <= f.b).map((f) => f.name);
    const when = stamp(from) + " to " + stamp(to);
    this.cursor.firstChild.textContent = when + (phase ? ", " + phase.name : "");
    const said = [when + (phase ? ", " + phase.name : ""), ...on.map((f) => f + " on")];
    for (const l of this.lanes) {
      l.read.textContent = l.say(this.bins(l, step, i, i + 1)[0]);
      if (l.shown) said.push(l.title + ": " + l.read.textContent);
    }
    this.grip.setAttribute("aria-valuenow", String(Math.round(at / 1000)));
    this.grip.setAttribute("aria-valuetext", said.join("; "));
  }
  show(a, b) {
    const least = 1000 * Math.max(this.least, 2);
    let span = clamp(b - a, Math.min(least, this.len), this.len);
    a = clamp(Math.round(a), 0, this.len - span);
    span = Math.round(span);
    this.view = span >= this.len ? [0, this.len] : [a, Math.min(a + span, this.len)];
    this.place();
  }
  act(what) {
    const [a, b] = this.view;
    if (what === "all") return this.show(0, this.len);
    const factor = what === "in" ? .5 : 2, middle = this.at === null ? (a + b) / 2 : this.at;
    this.show(middle - (middle - a) * factor, middle + (b - middle) * factor);
  }
  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const step = this.step * 1000, at = this.at === null ? this.view[0] : this.at;
    const moves = { ArrowRight: step, ArrowUp: step, ArrowLeft: -step, ArrowDown: -step, PageUp: 10 * step, PageDown: -10 * step };
    if (e.key in moves) {
      // In the middle of bins, so that rounding never reads the one beside.
      const i = Math.floor((at + this.from - this.origin * 1000) / step);
      this.go(clamp(this.edge(i, this.step) + moves[e.key] + step / 2, 0, this.len));
    } else if (e.key === "Home") this.go(0);
    else if (e.key === "End") this.go(this.len);
    else if (e.key === "+" || e.key === "=") this.act("in");
    else if (e.key === "-" || e.key === "_") this.act("out");
    else if (e.key === "0") this.act("all");
    else if (e.key === "Escape") this.point(null);
    else return;
    e.preventDefault();
  }
  // go moves the cursor, and the view with it.
  go(at) {
    const [a, b] = this.view;
    this.at = at;
    if (at < a) this.show(at - (b - a) * .1, b - a + at - (b - a) * .1);
    else if (at > b) this.show(at - (b - a) * .9, at + (b - a) * .1);
    this.point(at);
  }
  timeOf(e) {
    const box = this.grip.getBoundingClientRect();
    return this.view[0] + clamp((e.clientX - box.left) / box.width, 0, 1) * (this.view[1] - this.view[0]);
  }
  move(e) {
    const at = this.timeOf(e);
    this.point(at);
    if (this.down === undefined) return;
    const [a, b] = this.view, lo = Math.min(at, this.down), hi = Math.max(at, this.down);
    this.brush.hidden = false;
    this.brush.style.left = (lo - a) / (b - a) * 100 + "%";
    this.brush.style.width = (hi - lo) / (b - a) * 100 + "%";
  }
  up(e) {
    if (this.down === undefined) return;
    const at = this.timeOf(e), from = this.down, wide = Math.abs(at - from) / (this.view[1] - this.view[0]) > .01;
    this.down = undefined;
    this.brush.hidden = true;
    if (wide) this.show(Math.min(at, from), Math.max(at, from));
  }
  choose() {
    const off = new Set(), kinds = new Set();
    for (const box of this.figure.querySelectorAll(".tools input")) {
      if (box.checked) continue;
      if (box.dataset.kind) kinds.add(box.dataset.kind); else off.add(box.dataset.probe);
    }
    for (const l of this.lanes) l.element.hidden = off.has(l.name) || kinds.has(l.kind);
    this.point(this.at);
  }
}

function csv() {
  const quote = (s) => /[",\r\n]/.test(s) ? '"' + s.replaceAll('"', '""') + '"' : s;
  // A spreadsheet takes text that begins like this for a formula.
  const safe = (s) => quote(/^[=+\-@\t\r]/.test(s) ? "'" + s : s);
  const lines = ["time,seconds,probe,ok,failed,missing,median_s,max_s,value"];
  for (const p of probes) {
    const s = p.series, start = Date.parse(s.start), step = stepOf(s);
    s.ok.forEach((ok, k) => {
      const v = s.value ? s.value[k] : null;
      const none = (x) => x < 0 ? "" : x;
      lines.push([new Date(start + k * step * 1000).toISOString(), step, safe(p.probe), ok, s.failed[k], s.missing[k],
        none(s.median_s[k]), none(s.max_s[k]), v === null || v === undefined ? "" : v].join(","));
    });
  }
  return lines.join("\r\n") + "\r\n";
}
function save(name, type, content) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const a = document.createElement("a");
  a.href = url;
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

const name = "faultline-" + String(report.run.id).replace(/[^\w.-]+/g, "_");
document.getElementById("downloads").hidden = false;
document.getElementById("save-json").addEventListener("click", () => save(name + ".json", "application/json", text + "\n"));
document.getElementById("save-csv").addEventListener("click", () => save(name + ".csv", "text/csv", csv()));

const theme = document.getElementById("theme"), root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");
const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
const label = () => { theme.textContent = dark() ? "Light colours" : "Dark colours"; };
theme.hidden = false;
theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; label(); });
system.addEventListener("change", label);
label();

// On paper nothing can be opened.
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  closed.forEach((d) => { d.open = true; });
});
addEventListener("afterprint", () => closed.forEach((d) => { d.open = false; }));

const charts = [...document.querySelectorAll("figure.chart")].map((f) => new Chart(f));
let waiting = 0;
addEventListener("resize", () => {
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(() => charts.forEach((c) => { if (c.lanes.length) c.axis(); }));
});
})();
