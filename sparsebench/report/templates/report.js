"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { words, numbers, samples, count } = data;
  const word = (name, i) => words[name][0][words[name][1][i]] ?? "";
  const value = (name, i) => numbers[name][i];

  // The same texts as the tables of the command line: three digits, the unit that fits.
  const number = (v) => {
    const size = Math.abs(Number(v.toPrecision(3)));
    if (size >= 100) return v.toFixed(0);
    if (size >= 10) return v.toFixed(1);
    return size >= 0.1 ? v.toFixed(2) : String(Number(v.toPrecision(2)));
  };
  const scaled = (v, units) => {
    const last = units.length - 1;
    const [unit, scale] = units.find(([, s], n) => n === last || Number((v / s).toPrecision(3)) < 1000);
    return `${number(v / scale)} ${unit}`;
  };
  const duration = (v) => scaled(v, [["ns", 1e-9], ["us", 1e-6], ["ms", 1e-3], ["s", 1]]);
  const bytes = (v) => scaled(v, [["B", 1], ["KiB", 2 ** 10], ["MiB", 2 ** 20], ["GiB", 2 ** 30]]);
  const percent = (v) => `${number(100 * v)}%`;
  const spread = (v, low, high) =>
    low === null || high === null ? " ±?" : ` ±${Math.max(1, Math.ceil((100 * (high - low)) / (2 * v)))}%`;

  const several = (name) => words[name][0].length > 1;
  const sparsity = (i) => Number((1 - value("density", i)).toPrecision(6));
  const text = (name, head = name) => ({ head, key: (i) => word(name, i), show: (i) => word(name, i) });
  const numeric = (head, get, show, extra = () => "") => ({
    head, numeric: true, key: get,
    show: (i) => { const v = get(i); return v === null ? "" : show(v) + extra(i); },
  });
  const of = (name) => (i) => value(name, i);
  const columns = [
    ...(several("run") ? [text("run")] : []),
    ...(several("suite") ? [text("suite")] : []),
    text("shape"),
    numeric("N", of("N"), String),
    text("pattern"),
    numeric("sparsity", sparsity, (v) => `${Number((100 * v).toPrecision(4))}%`),
    text("kernel"),
    numeric("threads", of("threads"), String),
    ...(several("level") ? [text("level")] : []),
    text("status"),
    numeric("time", of("median_s"), duration,
      (i) => spread(value("median_s", i), value("ci_low_s", i), value("ci_high_s", i))),
    numeric("speedup", of("speedup"), number,
      (i) => spread(value("speedup", i), value("speedup_ci_low", i), value("speedup_ci_high", i))),
    numeric("gflops", of("gflops_useful"), number),
    numeric("roofline", of("roofline_fraction"), percent),
    numeric("prepare", of("prepare_s"), duration),
    numeric("bytes", of("packed_bytes"), bytes),
  ];
  const byHead = Object.fromEntries(columns.map((column) => [column.head.toLowerCase(), column]));

  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, v] of Object.entries(attributes)) {
      if (name === "text") node.textContent = v;
      else node.setAttribute(name, v);
    }
    node.append(...children);
    return node;
  };
  const drawn = (tag, attributes, title) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, v] of Object.entries(attributes)) node.setAttribute(name, v);
    if (title) node.append(title);
    return node;
  };

  // Choosing
  const hay = Array.from({ length: count }, (_, i) =>
    ["run", "suite", "problem", "shape", "pattern", "kernel", "level", "status", "remarks", "bound"]
      .map((name) => word(name, i)).join(" ").toLowerCase() + ` n=${value("N", i)} threads=${value("threads", i)}`);
  const compare = {
    "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
    "=": (a, b) => a === b, "==": (a, b) => a === b, "!=": (a, b) => a !== b,
  };
  const condition = (term) => {
    const match = /^([a-z]+)(<=|>=|==|!=|<|>|=)([-+.\de]+)(%?)$/.exec(term);
    const column = match && byHead[match[1]];
    if (!column || !column.numeric || Number.isNaN(Number(match[3]))) return (i) => hay[i].includes(term);
    const limit = Number(match[3]) / (match[4] ? 100 : 1);
    return (i) => column.key(i) !== null && compare[match[2]](column.key(i), limit);
  };
  const UNSUPPORTED = "unsupported";
  const search = document.getElementById("words");
  const selects = ["kernel", "pattern", "status"].filter(several).map((name) => {
    const select = make("select", { id: `only-${name}` }, make("option", { value: "", text: "all" }));
    if (name === "status" && words[name][0].includes(UNSUPPORTED)) {
      select.append(make("option", { value: "possible", text: `all but ${UNSUPPORTED}`, selected: "" }));
    }
    words[name][0].forEach((v, n) => select.append(make("option", { value: n, text: v })));
    document.getElementById("selects").append(make("label", {}, `${name} `, select));
    return [name, select];
  });
  const chosen = () => {
    const terms = search.value.toLowerCase().split(/\s+/).filter(Boolean).map(condition);
    for (const [name, select] of selects) {
      if (select.value === "possible") terms.push((i) => word(name, i) !== UNSUPPORTED);
      else if (select.value !== "") terms.push((i) => words[name][1][i] === Number(select.value));
    }
    const found = [];
    for (let i = 0; i < count; i += 1) if (terms.every((holds) => holds(i))) found.push(i);
    return found;
  };

  // The table: rows are made as far as somebody looks.
  const STEP = 200;
  const body = document.querySelector("#table tbody");
  const more = document.getElementById("more");
  let order = [], made = 0, sorted = null, falling = false;

  const strip = (i) => {
    const offsets = samples[i];
    const low = Math.min(...offsets), high = Math.max(...offsets), range = Math.max(high - low, 10);
    const middle = (low + high) / 2, x = (v) => 280 + (500 * (v - middle)) / range;
    const svg = drawn("svg", { viewBox: "0 0 560 74", role: "img", "aria-label": "samples by time" });
    const rank = [...offsets].sort((a, b) => a - b);
    const at = (share) => {
      const place = share * (rank.length - 1), under = Math.floor(place);
      return rank[under] + (place - under) * ((rank[under + 1] ?? rank[under]) - rank[under]);
    };
    const [q1, q2, q3] = [at(0.25), at(0.5), at(0.75)];
    svg.append(drawn("rect", { x: x(q1), y: 6, width: Math.max(1, x(q3) - x(q1)), height: 42, fill: "var(--line)" }));
    svg.append(drawn("path", { d: `M${x(q2)} 6V48`, stroke: "var(--fg)", "stroke-width": 2 }));
    offsets.forEach((v, n) => {
      const y = 10 + (34 * n) / Math.max(1, offsets.length - 1);
      svg.append(drawn("circle", { cx: x(v).toFixed(1), cy: y.toFixed(1), r: 2.6, fill: "var(--k1)", "fill-opacity": 0.75 }));
    });
    const shown = (v) => duration(value("median_s", i) * (1 + v / 1000));
    for (const [v, anchor] of [[low, "start"], [high, "end"]]) {
      svg.append(drawn("text", { x: x(v).toFixed(1), y: 66, "text-anchor": anchor }, shown(v)));
    }
    return svg;
  };
  const copy = async (code, button) => {
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      // Pages opened from a file may not be let near the clipboard: the old way, by a selection.
      getSelection().selectAllChildren(code);
      if (!document.execCommand("copy")) { button.textContent = "Selected: copy it"; return; }
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };
  const about = (i) => {
    const list = make("dl");
    const say = (head, v) => { if (v !== "" && v !== null) list.append(make("dt", { text: head }), make("dd", { text: v })); };
    const kernel = word("kernel", i);
    const between = (a, b, show) => (a === null || b === null ? "" : `${show(a)} to ${show(b)}`);
    say("problem", word("problem", i));
    say(word("status", i) === "ok" ? "note" : word("status", i), word("error", i));
    say("plan", word("detail", i));
    say("time, 95% interval", between(value("ci_low_s", i), value("ci_high_s", i), duration));
    say(`over ${word("baseline", i)}, 95% interval`,
      between(value("speedup_ci_low", i), value("speedup_ci_high", i), number));
    say("dense-equivalent GFLOP/s", value("gflops_dense", i) === null ? "" : number(value("gflops_dense", i)));
    say("bound by", word("bound", i));
    say("largest error", value("max_rel_error", i));
    say("remarks", word("remarks", i));
    if (samples[i].length) {
      say("samples", `${value("rounds", i)} rounds of ${value("inner", i)} calls, timed in ${word("timed_in", i)};` +
        ` stopped by ${word("stopped_by", i)}; first round on top, box: quartiles`);
    }
    const command = word("command", i);
    const kernels = kernel === word("baseline", i) ? `${data.placeholder},${kernel}` : data.placeholder;
    const code = make("code", { text: command.replace(kernels, kernel) });
    const button = make("button", { type: "button", text: "Copy", class: "screen" });
    button.addEventListener("click", () => copy(code, button));
    const inside = make("div", {}, list);
    if (samples[i].length) inside.append(strip(i));
    inside.append(make("p", {}, code, " ", button));
    return make("tr", { class: "about" }, make("td", { colspan: columns.length + 1 }, inside));
  };
  const toggle = (row, i) => {
    const button = row.querySelector("button"), open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!open));
    button.textContent = open ? "▸" : "▾";
    if (open) row.nextElementSibling.remove();
    else row.after(about(i));
  };
  const addRow = (i) => {
    const status = word("status", i);
    const row = make("tr", { "data-row": i });
    if (!["ok", "unsupported", "unavailable"].includes(status)) row.className = "trouble";
    const open = make("button", { type: "button", class: "open", "aria-expanded": "false", text: "▸",
      "aria-label": `Details of ${word("kernel", i)}, ${word("problem", i)}` });
    row.append(make("td", {}, open));
    for (const column of columns) row.append(make("td", { class: column.numeric ? "n" : "", text: column.show(i) }));
    row.addEventListener("click", () => { if (!String(getSelection())) toggle(row, i); });
    body.append(row);
    return row;
  };
  const extend = (upTo) => {
    for (; made < Math.min(upTo, order.length); made += 1) addRow(order[made]);
    more.hidden = made >= order.length;
    document.getElementById("shown").textContent =
      `${order.length.toLocaleString("en")} of ${count.toLocaleString("en")} cases` +
      (made < order.length ? `, the first ${made} shown` : "");
  };
  const refresh = () => {
    order = chosen();
    if (sorted) {
      const keys = new Map(order.map((i) => [i, sorted.key(i)]));
      const sign = falling ? -1 : 1;
      order.sort((a, b) => {
        const [p, q] = [keys.get(a), keys.get(b)];
        // What is absent comes last, whichever way.
        if (p === null || q === null) return (p === null) - (q === null) || a - b;
        return sign * (sorted.numeric ? p - q : p.localeCompare(q, "en", { numeric: true })) || a - b;
      });
    }
    body.replaceChildren();
    made = 0;
    extend(STEP);
  };

  const heads = make("tr", {}, make("th", {}));
  for (const column of columns) {
    const button = make("button", { type: "button", text: column.head });
    const head = make("th", { scope: "col", class: column.numeric ? "n" : "", "aria-sort": "none" }, button);
    button.addEventListener("click", () => {
      // The first look is at the most of a number, at the first of a word.
      falling = sorted === column ? !falling : Boolean(column.numeric);
      sorted = column;
      for (const other of heads.children) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      refresh();
    });
    heads.append(head);
  }
  document.querySelector("#table thead").append(heads);
  document.getElementById("choose").addEventListener("input", refresh);
  document.getElementById("choose").addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", () => extend(made + STEP));
  refresh();

  // What a mark says: its <title> where it has one, else its case.
  const tip = document.getElementById("tip");
  const told = (mark) => {
    const title = mark.querySelector("title");
    if (title) { mark.dataset.tip = title.textContent; title.remove(); mark.setAttribute("aria-label", mark.dataset.tip); }
    if (mark.dataset.tip) return mark.dataset.tip;
    const i = Number(mark.dataset.case);
    return `${word("kernel", i)}, ${word("problem", i)}\n${duration(value("median_s", i))}` +
      (value("roofline_fraction", i) === null ? "" : `, ${percent(value("roofline_fraction", i))} of the roofline`);
  };
  const marks = "svg .m, svg .p, svg .t, svg .h, svg rect";
  const show = (event) => {
    const mark = event.target.closest?.(marks);
    if (!mark || !(mark.dataset.case || mark.dataset.tip || mark.querySelector("title"))) { tip.hidden = true; return; }
    tip.textContent = told(mark);
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - width - 4))}px`;
    tip.style.top = `${event.clientY + height + 20 < innerHeight ? event.clientY + 14 : event.clientY - height - 10}px`;
  };
  document.addEventListener("pointerover", show);
  document.addEventListener("pointerdown", show);
  document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });
  document.addEventListener("click", (event) => {
    const i = event.target.closest?.("[data-case]")?.dataset.case;
    if (i === undefined) return;
    search.value = "";
    for (const [, select] of selects) select.value = "";
    refresh();
    extend(order.indexOf(Number(i)) + 1);
    const row = body.querySelector(`[data-row="${i}"]`);
    toggle(row, Number(i));
    row.scrollIntoView({ block: "center" });
    row.querySelector("button").focus({ preventScroll: true });
  });
  addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("details")) part.open = true; });
})();
