"use strict";
(() => {
  const D = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const COLOR = { ours: "#0072b2", theirs: "#d55e00", passer: "#117a5b", actual: "#a2487f", first: "#b58900", soft: "#57606a" };
  const LOOK = {
    margin: { l: 52, r: 14, t: 10, b: 44 }, font: { size: 12, color: "#1b1f24" }, showlegend: false,
    paper_bgcolor: "#fff", plot_bgcolor: "#fff", hovermode: "closest",
  };
  const AXIS = { gridcolor: "#e6eaee", zeroline: false, automargin: true };
  const OPTIONS = { responsive: true, displayModeBar: false };

  const draw = (id, traces, x, y, more = {}) =>
    Plotly.react(id, traces, { ...LOOK, ...more, xaxis: { ...AXIS, ...x }, yaxis: { ...AXIS, ...y } }, OPTIONS);
  // Plotly interprets tags, entities and %{...} in any text
  const plain = (text) => String(text).replace(/[&<>{}]/g, (c) => `&#${c.charCodeAt(0)};`);
  const axis = (text, more = {}) => ({ title: { text }, ...more });

  const element = (name, attributes = {}, ...children) => {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (value !== null) node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
  };
  const number = (value, digits) => (value === null || value === undefined ? "" : value.toFixed(digits));
  const option = (value, text) => element("option", { value }, text);
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

  // ---- leaderboard ----
  const NAMES = new Map(D.passers.map((each) => [each.id, each.name]));
  const COLUMNS = D.columns; // after the passer: key, label, digits
  let sorted = { key: "passing_score", down: true };

  const bar = (low, middle, high) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "bar");
    svg.setAttribute("viewBox", "50 0 49 10");
    svg.setAttribute("preserveAspectRatio", "none");
    const line = (x1, x2, y1, y2, color, width) => {
      const stroke = document.createElementNS("http://www.w3.org/2000/svg", "line");
      Object.entries({ x1, x2, y1, y2, stroke: color, "stroke-width": width }).forEach(([k, v]) => stroke.setAttribute(k, v));
      svg.append(stroke);
    };
    line(74.5, 74.5, 0, 10, "#9aa4ad", 0.4);
    line(low, high, 5, 5, COLOR.ours, 2.4);
    line(middle, middle, 0, 10, "#1b1f24", 1);
    return svg;
  };

  const board = () => D.boards.find((each) => each.season === at("season").value && each.split === at("split").value);

  const record = (row) => {
    const cells = { id: row[0], name: NAMES.get(row[0]) };
    COLUMNS.forEach((column, i) => { cells[column.key] = row[i + 1]; });
    return cells;
  };

  const heads = (table, columns, sort, again) => {
    const row = element("tr");
    columns.forEach((column) => {
      const order = sort && sort.key === column.key ? (sort.down ? "descending" : "ascending") : null;
      const inside = again && column.key ? element("button", { type: "button", onclick: () => again(column.key) }, column.label) : column.label;
      row.append(element("th", { class: column.text ? "text" : null, "aria-sort": order, scope: "col", title: column.title || null }, inside));
    });
    table.tHead.replaceChildren(row);
  };

  const showBoard = () => {
    const current = board();
    const least = Math.max(1, Number(at("least").value) || 1);
    const query = at("name").value.trim().toLowerCase();
    const rows = (current ? current.rows : []).map(record)
      .filter((row) => row.plays >= least && (!query || row.name.toLowerCase().includes(query)));
    const ranked = new Map([...rows].sort((a, b) => b.passing_score - a.passing_score).map((row, i) => [row.id, i + 1]));
    const way = sorted.down ? -1 : 1;
    rows.sort((a, b) => {
      const [p, q] = [a[sorted.key], b[sorted.key]];
      if (p === null || q === null) return (p === null) - (q === null); // unknown values come last in both directions
      return way * (typeof p === "string" ? p.localeCompare(q) : p - q);
    });
    const columns = [{ key: null, label: "#" }, { key: "name", label: "Quarterback", text: true }, ...COLUMNS.slice(0, 3),
      { key: null, label: "90 % interval, 50 to 99", text: true }, ...COLUMNS.slice(5)];
    heads(at("board"), columns, sorted, (key) => {
      sorted = { key, down: sorted.key === key ? !sorted.down : key !== "name" };
      showBoard();
    });
    at("board").tBodies[0].replaceChildren(...rows.map((row) => {
      const cells = element("tr", {}, element("td", {}, String(ranked.get(row.id))),
        element("td", { class: "text" }, element("button", { class: "link", type: "button", onclick: () => go("passer", row.id) }, row.name)));
      COLUMNS.slice(0, 3).forEach((c) => cells.append(element("td", {}, number(row[c.key], c.digits))));
      const label = `${number(row.passing_low, 1)} to ${number(row.passing_high, 1)}`;
      cells.append(element("td", { class: "text", title: label }, bar(row.passing_low, row.passing_score, row.passing_high)));
      COLUMNS.slice(5).forEach((c) => cells.append(element("td", {}, number(row[c.key], c.digits))));
      return cells;
    }));
    at("board-note").textContent = current
      ? `${rows.length} quarterbacks. ${D.splits[current.split].text} The league's mean score on these plays is ${number(current.center, 3)}.`
      : "No play of this season is in this split.";
  };

  // ---- quarterback ----
  const showPasser = (id) => {
    at("passer").value = id;
    const own = D.passers.find((each) => each.id === id);
    if (!own) return;
    const lines = [];
    D.boards.filter((each) => each.split === "" ).forEach((each) => {
      const row = each.rows.find((r) => r[0] === id);
      if (row) { const r = record(row); lines.push(`${each.season || "All seasons"}: ${number(r.passing_score, 1)} (${number(r.passing_low, 1)} to ${number(r.passing_high, 1)}, ${r.plays} plays)`); }
    });
    at("passer-line").textContent = `${own.name}. ${lines.join("; ")}`;
    const seasons = [...new Set(own.games.map((g) => g[0]))];
    const symbols = ["circle", "square", "diamond", "cross", "triangle-up"];
    const shades = [COLOR.ours, COLOR.theirs, COLOR.passer, COLOR.actual, COLOR.first];
    const traces = seasons.map((season, i) => {
      const games = own.games.filter((g) => g[0] === season);
      return { x: games.map((g, k) => g[1] ?? k + 1), y: games.map((g) => g[3]), name: plain(season ?? "games"), mode: "markers",
        marker: { symbol: symbols[i % 5], size: 8, color: shades[i % 5] },
        error_y: { type: "data", symmetric: false, array: games.map((g) => g[5] - g[3]), arrayminus: games.map((g) => g[3] - g[4]),
          thickness: 0.6, width: 0, color: shades[i % 5] },
        text: games.map((g) => `${g[2]} plays`), hovertemplate: "week %{x}: %{y:.1f}, %{text}<extra></extra>" };
    });
    draw("weeks", traces, axis("week"), axis("passing score of the game, 90 % interval", { range: [48, 101] }),
      { showlegend: seasons.length > 1, legend: { orientation: "h", y: 1.12 } });
    const fractions = own.places.map((n) => n / Math.max(1, own.places.reduce((a, b) => a + b, 0)));
    const middles = own.places.map((_, i) => (i + 0.5) / own.places.length);
    draw("places", [
      { type: "bar", x: middles, y: fractions.map((s) => 100 * s), marker: { color: COLOR.ours }, name: plain(own.name), hovertemplate: "%{y:.1f} %<extra></extra>" },
      { x: [0, 1], y: [100 / own.places.length, 100 / own.places.length], mode: "lines", line: { color: COLOR.soft, dash: "dot" }, name: "average quarterback" },
    ], axis("PIT of a play against an average quarterback", { range: [0, 1] }), axis("plays, %"));
    heads(at("splits"), [{ label: "Split", text: true }, ...COLUMNS.slice(0, 3), { label: "90 % interval, 50 to 99", text: true }, ...COLUMNS.slice(5)]);
    at("splits").tBodies[0].replaceChildren(...D.boards.filter((each) => each.season === "").flatMap((each) => {
      const row = each.rows.find((r) => r[0] === id);
      if (!row) return [];
      const r = record(row);
      const cells = element("tr", {}, element("td", { class: "text", title: D.splits[each.split].condition }, D.splits[each.split].name));
      COLUMNS.slice(0, 3).forEach((c) => cells.append(element("td", {}, number(r[c.key], c.digits))));
      cells.append(element("td", { class: "text", title: `${number(r.passing_low, 1)} to ${number(r.passing_high, 1)}` }, bar(r.passing_low, r.passing_score, r.passing_high)));
      COLUMNS.slice(5).forEach((c) => cells.append(element("td", {}, number(r[c.key], c.digits))));
      return [cells];
    }));
    ["best", "worst"].forEach((kind) => {
      heads(at(kind), ["Season", "Week", "Down", "Yards", "Median", "PIT", ""].map((label) => ({ label })));
      at(kind).tBodies[0].replaceChildren(...own[kind].map((index) => {
        const p = D.plays[index];
        const open = element("button", { class: "link", type: "button", onclick: () => go("play", String(index)) }, "watch");
        const down = p.down === null ? "" : `${p.down} & ${p.distance ?? "?"}`;
        const texts = [p.season ?? "", p.week ?? "", down, number(p.outcome, D.digits), number(p.median, 1), number(p.pit, 3)];
        return element("tr", {}, ...texts.map((text) => element("td", {}, String(text))), element("td", {}, open));
      }));
    });
  };

  // ---- play viewer ----
  const SVG = "http://www.w3.org/2000/svg";
  let shownPlay = null, timer = null;

  const shape = (name, attributes, text) => {
    const node = document.createElementNS(SVG, name);
    Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
    if (text !== undefined) node.textContent = text;
    return node;
  };

  const unpack = (play) => {
    if (play.read) return;
    play.read = true;
    play.probabilities = bytes(play.density);
    if (play.frames) play.spots = new Int16Array(bytes(play.frames).buffer);
  };

  // yards: x beyond the line of scrimmage, y to the offense's left of the middle
  const field = (play) => {
    const svg = at("field");
    const low = -18, high = Math.max(30, Math.min(play.reach + 6, 75));
    svg.setAttribute("viewBox", `${low} -28 ${high - low} 56`);
    const parts = [];
    const goal = play.to_goal;
    for (let x = -20; x <= 80; x += 1) {
      const spot = goal === null ? x : goal - x; // yards to the goal line
      if (x < low || x > high || (goal !== null && (spot < 0 || spot > 100))) continue;
      if (goal === null ? x % 5 === 0 : spot % 5 === 0) {
        parts.push(shape("line", { x1: x, x2: x, y1: -26.65, y2: 26.65, stroke: "#b9c9b4", "stroke-width": spot % 10 === 0 ? 0.25 : 0.12 }));
        if (goal !== null && spot % 10 === 0 && spot > 0 && spot < 100) {
          parts.push(shape("text", { x, y: 23.5, "font-size": 2.6, fill: "#7d8f78", "text-anchor": "middle" }, String(spot > 50 ? 100 - spot : spot)));
        }
      }
    }
    if (goal !== null && goal < high) {
      parts.push(shape("rect", { x: goal, y: -26.65, width: 10, height: 53.3, fill: "#d7e3d3" }));
      parts.push(shape("line", { x1: goal, x2: goal, y1: -26.65, y2: 26.65, stroke: "#57606a", "stroke-width": 0.4 }));
    }
    [-26.65, 26.65].forEach((y) => parts.push(shape("line", { x1: low, x2: high, y1: y, y2: y, stroke: "#57606a", "stroke-width": 0.3 })));
    parts.push(shape("line", { x1: 0, x2: 0, y1: -26.65, y2: 26.65, stroke: "#1b1f24", "stroke-width": 0.25 }));
    if (play.distance !== null) parts.push(shape("line", { x1: play.distance, x2: play.distance, y1: -26.65, y2: 26.65, stroke: COLOR.first, "stroke-width": 0.4 }));
    if (play.outcome < high) parts.push(shape("line", { x1: play.outcome, x2: play.outcome, y1: -26.65, y2: 26.65, stroke: COLOR.actual, "stroke-width": 0.4, "stroke-dasharray": "1.2 0.8" }));
    const people = shape("g", { id: "people" });
    svg.replaceChildren(...parts, people);
  };

  const move = (play, frame) => {
    const people = at("people");
    if (!play.spots) { people.replaceChildren(); return; }
    const shapes = [];
    for (let slot = 0; slot < 22; slot += 1) {
      const x = play.spots[(frame * 22 + slot) * 2], y = play.spots[(frame * 22 + slot) * 2 + 1];
      if (x === -32768) continue;
      const [cx, cy] = [x / 100, -y / 100]; // the offense's left is up
      if (slot === 0) shapes.push(shape("path", { d: `M${cx} ${cy - 1.2}L${cx + 1.2} ${cy}L${cx} ${cy + 1.2}L${cx - 1.2} ${cy}Z`, fill: COLOR.passer, class: "man" }));
      else if (slot < 11) shapes.push(shape("circle", { cx, cy, r: 0.85, fill: COLOR.ours, class: "man" }));
      else shapes.push(shape("rect", { x: cx - 0.75, y: cy - 0.75, width: 1.5, height: 1.5, fill: COLOR.theirs, class: "man" }));
    }
    people.replaceChildren(...shapes);
  };

  const showFrame = (frame) => {
    const play = shownPlay, bins = D.grid.length;
    at("frame").value = frame;
    at("clock").textContent = play.count > 1 ? `${(frame / 10).toFixed(1)} s` : "before the snap";
    move(play, frame);
    const row = Array.from(play.probabilities.subarray(frame * bins, (frame + 1) * bins), (v) => 100 * play.peak * (v / 255) ** 2);
    const [low, high] = [play.lower && play.lower[frame], play.upper && play.upper[frame]];
    const mark = (x, color, dash) => ({ type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line: { color: color, width: 1.5, dash } });
    const shapes = [mark(play.outcome, COLOR.actual, "solid"), mark(play.medians[frame], "#1b1f24", "dot")];
    if (low !== null && low !== undefined) shapes.push(mark(low, COLOR.theirs, "dash"));
    if (high !== null && high !== undefined) shapes.push(mark(high, COLOR.theirs, "dash"));
    draw("density", [{ type: "bar", x: D.grid, y: row, marker: { color: D.grid.map((y) => (low !== null && low !== undefined && (y < low || y > high) ? COLOR.theirs : COLOR.ours)) },
      hovertemplate: `%{x} ${plain(D.unit)}: %{y:.2f} %<extra></extra>` }],
    axis(plain(D.outcome)), axis("probability, %", { range: [0, 105 * play.peak] }), { shapes, bargap: 0.05 });
    const times = play.medians.map((_, i) => i / 10);
    draw("running", [
      { x: times, y: play.medians, mode: play.count > 1 ? "lines" : "markers", line: { color: COLOR.ours }, name: "median" },
      { x: [times[frame]], y: [play.medians[frame]], mode: "markers", marker: { color: "#1b1f24", size: 9 }, name: "now" },
    ], axis("seconds since the snap", { range: [-0.05, Math.max(1, times[times.length - 1]) + 0.05] }), axis(`median, ${plain(D.unit)}`),
    { shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: play.outcome, y1: play.outcome, line: { color: COLOR.actual, width: 1.5 } }] });
  };

  const stop = () => {
    clearInterval(timer);
    timer = null;
    at("run").innerHTML = "&#9654;";
    at("run").setAttribute("aria-label", "Play");
  };

  const start = () => {
    if (Number(at("frame").value) >= shownPlay.count - 1) showFrame(0);
    at("run").innerHTML = "&#10074;&#10074;";
    at("run").setAttribute("aria-label", "Pause");
    timer = setInterval(() => {
      const next = Number(at("frame").value) + 1;
      if (next >= shownPlay.count) stop();
      else showFrame(next);
    }, 100);
  };

  const title = (p) => {
    const when = [p.season, p.week === null ? null : `week ${p.week}`].filter((each) => each !== null).join(", ");
    return `${NAMES.get(p.passer) ?? ""} · ${when} · ${number(p.outcome, D.digits)} ${D.unit} · PIT ${number(p.pit, 3)}`;
  };

  const showPlay = (index) => {
    stop();
    at("play").value = index;
    const play = D.plays[Number(index)];
    if (!play) return;
    shownPlay = play;
    unpack(play);
    at("frame").max = play.count - 1;
    at("frame").disabled = at("run").disabled = play.count < 2;
    const down = play.down === null ? "" : ` ${play.down} & ${play.distance ?? "?"}${play.to_goal === null ? "" : `, ${play.to_goal} yards to the goal line`}.`;
    at("play-line").textContent = `${title(play)}.${down}`;
    field(play);
    showFrame(play.count - 1);
    at("play-note").textContent = D.notes.viewer;
  };

  // ---- calibration, training ----
  const showCalibration = () => {
    const c = D.calibration;
    at("calibration-note").textContent = c.note;
    const n = c.histogram.length;
    draw("pit", [
      { type: "bar", x: c.histogram.map((_, i) => (i + 0.5) / n), y: c.histogram, marker: { color: COLOR.ours } },
      { x: [0, 1], y: [1, 1], mode: "lines", line: { color: COLOR.soft, dash: "dot" } },
    ], axis("PIT", { range: [0, 1] }), axis("density (1: calibrated)", { rangemode: "tozero" }), { bargap: 0.05 });
    const curve = (id, low, high) => {
      const inside = c.levels.map((q, i) => [q, c.shares[i]]).filter(([q]) => q >= low && q <= high);
      draw(id, [
        { x: [low, high], y: [low, high], mode: "lines", line: { color: COLOR.soft, dash: "dot" } },
        { x: inside.map((p) => p[0]), y: inside.map((p) => p[1]), mode: "lines+markers", marker: { size: 4 }, line: { color: COLOR.ours } },
      ], axis("level of the predictive quantile"), axis("fraction of outcomes below it"));
    };
    curve("pp", 0, 1); curve("pp-lower", 0, 0.05); curve("pp-upper", 0.95, 1);
    const s = c.strata;
    draw("strata", [{ x: s.map((r) => r.mean), y: s.map((r) => plain(r.name)), mode: "markers", marker: { color: COLOR.ours, size: 7 },
      error_x: { type: "data", array: s.map((r) => r.half), thickness: 1.2, width: 2 }, text: s.map((r) => `${r.plays} plays`),
      hovertemplate: "%{y}: %{x:.3f}, %{text}<extra></extra>" }],
    axis("mean PIT, 90 % interval (0.5: calibrated)"), { autorange: "reversed", type: "category" },
    { shapes: [{ type: "line", x0: 0.5, x1: 0.5, yref: "paper", y0: 0, y1: 1, line: { color: COLOR.soft, dash: "dot" } }], margin: { ...LOOK.margin, l: 150 } });
  };

  const showTraining = () => {
    const traces = D.training.flatMap((run, i) => ["training_loss", "validation_loss"].map((key, k) => ({
      x: run.epoch, y: run[key], mode: "lines+markers", marker: { size: 4 }, name: `${plain(run.name)}, ${k ? "validation" : "training"}`,
      line: { color: [COLOR.ours, COLOR.theirs, COLOR.passer, COLOR.actual, COLOR.first][i % 5], dash: k ? "solid" : "dot" } })));
    draw("losses", traces, axis("epoch"), axis("loss, nats per play"), { showlegend: true });
    at("config").tBodies[0].replaceChildren(...D.config.map(([key, value]) =>
      element("tr", {}, element("td", { class: "text" }, key), element("td", { class: "text" }, value))));
    at("tables").replaceChildren(...D.tables.flatMap((table) => {
      const node = element("table", {}, element("thead"), element("tbody"));
      heads(node, table.header.map((label, i) => ({ label, text: i === 0 })));
      node.tBodies[0].append(...table.rows.map((row) => element("tr", {}, ...row.map((text, i) => element("td", { class: i ? null : "text" }, text)))));
      return [element("h2", {}, table.title), element("div", { class: "scroll" }, node)];
    }));
  };

  // ---- views ----
  const VIEWS = { board: "Leaderboard", passer: "Quarterback", play: "Play", calibration: "Calibration", training: "Training" };
  const go = (view, what = "") => { location.hash = what === "" ? view : `${view}=${encodeURIComponent(what)}`; };

  const show = () => {
    const [view, what] = location.hash.slice(1).split("=");
    const chosen = VIEWS[view] ? view : "board";
    stop();
    Object.keys(VIEWS).forEach((name) => { at(`view-${name}`).hidden = name !== chosen; });
    document.querySelectorAll("nav button").forEach((button) => {
      if (button.dataset.view === chosen) button.setAttribute("aria-current", "page");
      else button.removeAttribute("aria-current");
    });
    if (chosen === "board") showBoard();
    if (chosen === "passer") showPasser(what ? decodeURIComponent(what) : at("passer").value);
    if (chosen === "play" && D.plays.length) showPlay(what || at("play").value);
    if (chosen === "calibration") showCalibration();
    if (chosen === "training") showTraining();
  };

  at("title").textContent = D.title;
  at("about").textContent = D.about;
  at("views").append(...Object.entries(VIEWS).filter(([view]) => view !== "play" || D.plays.length).map(([view, label]) =>
    element("button", { type: "button", "data-view": view, onclick: () => go(view) }, label)));
  at("season").append(...D.seasons.map((season) => option(season, season || "all seasons")));
  at("split").append(...Object.entries(D.splits).map(([key, split]) => option(key, split.name)));
  at("passer").append(...D.passers.map((each) => option(each.id, each.name)));
  at("play").append(...D.plays.map((play, i) => option(String(i), title(play))));
  at("least").value = D.least;
  ["season", "split", "least", "name"].forEach((id) => at(id).addEventListener("input", showBoard));
  at("passer").addEventListener("input", () => go("passer", at("passer").value));
  at("play").addEventListener("input", () => go("play", at("play").value));
  at("frame").addEventListener("input", () => { stop(); showFrame(Number(at("frame").value)); });
  at("run").addEventListener("click", () => (timer === null ? start() : stop()));
  window.addEventListener("hashchange", show);
  show();
})();
