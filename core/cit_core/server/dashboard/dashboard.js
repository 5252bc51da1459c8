"use strict";
// Texts are set as text, never as HTML: ids of models and reasons come from elsewhere.
const at = (id) => document.getElementById(id);
const percent = (x) => (x == null ? "–" : `${(100 * x).toFixed(1)} %`);
const usd = (x) => (x == null ? "–" : x !== 0 && Math.abs(x) < 0.01 ? `$${x.toPrecision(2)}` : `$${x.toFixed(2)}`);
let status = null;

async function call(path, body) {
  const key = sessionStorage.getItem("cit-key");
  const headers = { ...(key && { authorization: `Bearer ${key}` }), ...(body && { "content-type": "application/json" }) };
  const answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  if (answer.status === 401) {
    at("key-form").hidden = false;
    throw new Error(key ? "This key is not one of the gateway's." : "The gateway needs its key.");
  }
  const read = await answer.json();
  if (!answer.ok) throw new Error(read.error.message);
  return read;
}

function row(cells) {
  const line = document.createElement("tr");
  for (const cell of cells) {
    const place = document.createElement("td");
    if (cell instanceof Node) place.append(cell);
    else place.textContent = cell;
    line.append(place);
  }
  line.firstChild.className = "name";
  return line;
}

function bar(share) {
  const both = document.createElement("span"), length = document.createElement("span");
  length.className = "bar";
  length.style.width = `${5 * share}rem`;
  both.append(length, percent(share));
  return both;
}

function show() {
  const { traffic: t, models } = status;
  at("state").textContent = `policy ${status.policy}, ${models.length} models, ${status.scorer}`;
  at("answers").textContent = t.answers.toLocaleString("en");
  at("since").textContent = `since ${new Date(1000 * t.since).toLocaleString()}`;
  at("spend").textContent = usd(t.spend_usd);
  const best = t.always_best;
  at("saved").textContent = !best || !best.spend_usd ? "" :
    `always ${best.model}: ${usd(best.spend_usd)} (${percent(t.spend_usd / best.spend_usd - 1)})`;
  at("decide").textContent = t.decision_ms == null ? "–" : `${t.decision_ms.toFixed(1)} ms`;
  at("fallbacks").textContent = t.fallbacks.toLocaleString("en");
  const open = models.filter((model) => model.breaker !== "closed");
  at("failing").textContent = open.length ? `skipped now: ${open.map((model) => model.id).join(", ")}` : "every model answers";
  at("failing").className = open.length ? "bad" : "";
  at("drift").textContent = t.drift == null ? "–" : t.drift.toFixed(2);
  at("drift-text").textContent = t.drift == null ? "told from 200 decisions on" :
    t.drift < 0.1 ? "queries are as they were" : t.drift < 0.25 ? "queries begin to change" : "queries have changed: calibrate again";
  at("drift-text").className = t.drift >= 0.25 ? "bad" : "";
  at("models").replaceChildren(...models.map((model) => row([
    model.id, bar(t.shares[model.id] ?? 0), usd(t.spend_by_model[model.id] ?? 0),
    t.answer_s[model.id] == null ? "–" : `${t.answer_s[model.id].toFixed(2)} s`,
    t.failures[model.id] ?? 0, model.breaker, model.known,
  ])));
  at("last").replaceChildren(...t.decisions.map((one) => {
    const cells = [new Date(1000 * one.time).toLocaleTimeString(), one.model, percent(one.probability), usd(one.expected_cost_usd), one.reason];
    return row(cells);
  }));
  draw();
}

function draw() {
  const points = status.traffic.curve, svg = at("curve"), slider = at("worth");
  if (!points.length) return;
  svg.removeAttribute("hidden");
  slider.disabled = false;
  slider.max = points.length - 1;
  at("curve-note").textContent = "What other policies would have cost and been worth on the last decisions, by the router's own estimates.";
  const costs = points.map((p) => p.cost_usd), good = points.map((p) => p.probability);
  const scale = (x, low, high, from, to) => from + ((x - low) / (high - low || 1)) * (to - from);
  const place = (p) => [scale(p.cost_usd, Math.min(...costs), Math.max(...costs), 50, 385), scale(p.probability, Math.min(...good), Math.max(...good), 165, 15)];
  const element = (name, attributes, text = "") => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  };
  const chosen = points[Number(slider.value)], [x, y] = place(chosen);
  svg.replaceChildren(
    element("line", { x1: 50, y1: 165, x2: 385, y2: 165 }), element("line", { x1: 50, y1: 15, x2: 50, y2: 165 }),
    element("text", { x: 50, y: 185 }, usd(Math.min(...costs))), element("text", { x: 385, y: 185, "text-anchor": "end" }, `${usd(Math.max(...costs))} a query`),
    element("text", { x: 45, y: 20, "text-anchor": "end" }, percent(Math.max(...good))), element("text", { x: 45, y: 165, "text-anchor": "end" }, percent(Math.min(...good))),
    element("path", { d: "M" + points.map((p) => place(p).join(" ")).join("L") }), element("circle", { cx: x, cy: y, r: 5 }),
  );
  at("worth-out").textContent = usd(chosen.value_usd);
  slider.setAttribute("aria-valuetext", usd(chosen.value_usd));
  at("curve-text").textContent = `cost:${Number(chosen.value_usd.toPrecision(2))} would cost ${usd(chosen.cost_usd)} a query, ${percent(chosen.probability)} likely right.`;
}

async function refresh() {
  try {
    status = await call("v1/status");
    at("key-form").hidden = true;
    show();
  } catch (error) {
    at("state").textContent = error.message;
  }
}

at("worth").addEventListener("input", draw);
at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("cit-key", at("key").value);
  refresh();
});
at("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const shown = at("decision");
  try {
    const decision = await call("v1/route", { input: at("query").value });
    const table = document.createElement("table"), body = table.createTBody(), head = document.createElement("p");
    head.textContent = `${decision.model}: policy ${decision.policy}, decided in ${decision.latency_ms.toFixed(1)} ms`;
    for (const one of decision.ranking) body.append(row([one.model, bar(one.probability), usd(one.expected_cost_usd)]));
    for (const [model, reason] of Object.entries(decision.excluded)) body.append(row([model, "not considered", reason]));
    const notes = decision.warnings.map((warning) => Object.assign(document.createElement("p"), { textContent: warning }));
    shown.replaceChildren(head, table, ...notes);
  } catch (error) {
    shown.textContent = error.message;
  }
});
refresh();
setInterval(() => document.hidden || (status === null && !at("key-form").hidden) || refresh(), 3000);
