// One episode, turn by turn, among the other members of its group: what was read, what was answered, what it earned, and
// what the others did in the same state.

const parts = (turn) => {
  const all = known(turn.advantage) ? turn.advantage : null;
  return { all, episode: turn.advantage_episode ?? null, step: turn.advantage_step ?? null };
};
const sign = (value) => (value > 1e-9 ? "good" : value < -1e-9 ? "bad" : "even");

// Largest advantage of the episode: one scale for every bar in view.
function scaleOf(episode) {
  let most = 0;
  for (const turn of episode.turns) for (const value of Object.values(parts(turn))) most = Math.max(most, Math.abs(value ?? 0));
  return most || 1;
}

// A bar to the right of the middle for a positive value, to the left for a negative one.
function balance(value, scale, kind = "") {
  if (!known(value)) return el("span", { class: "balance empty" });
  const width = `${(50 * Math.min(1, Math.abs(value) / scale)).toFixed(2)}%`;
  const start = value < 0 ? `calc(50% - ${width})` : "50%";
  return el("span", { class: `balance ${kind}` }, el("span", { class: sign(value), css: { width, left: start } }));
}

// The whole episode at a glance: per turn the episode part (pale) and the step part (full), and their sum as a line.
function strip(episode, scale, onTurn) {
  const turns = episode.turns;
  const step = Math.max(9, Math.min(46, 900 / Math.max(turns.length, 1)));
  const width = 30 + step * turns.length + 4;
  const middle = 52;
  const Y = (value) => middle - (value / scale) * 42;
  const root = svg("svg", { class: "strip", viewBox: `0 0 ${width} 118`, width, height: 118, role: "img", "aria-label": "advantage of each turn" });
  root.append(svg("line", { class: "grid zero", x1: 28, x2: width, y1: middle, y2: middle }));
  for (const value of [scale, -scale]) root.append(svg("text", { class: "tick", x: 25, y: Y(value) + 4, "text-anchor": "end" }, `${value > 0 ? "+" : "−"}${scale.toFixed(1)}`));
  turns.forEach((turn, at) => {
    const { all, episode: whole, step: own } = parts(turn);
    const x = 30 + at * step;
    const cell = svg("g", { class: "turn", onclick: () => onTurn(at) });
    const bar = (value, kind, left, share) => {
      if (!known(value)) return;
      cell.append(svg("rect", { class: `${kind} ${sign(value)}`, x: x + step * left, width: Math.max(1.5, step * share), y: Math.min(Y(value), middle), height: Math.max(0.8, Math.abs(Y(value) - middle)), rx: 1.5 }));
    };
    if (known(whole) || known(own)) {
      bar(whole, "episode-part", 0.12, 0.36);
      bar(own, "step-part", 0.52, 0.36);
    } else bar(all, "step-part", 0.14, 0.72);
    if (known(all)) cell.append(svg("line", { class: "total", x1: x + step * 0.06, x2: x + step * 0.94, y1: Y(all), y2: Y(all) }));
    if (turn.format_valid === false || turn.action_valid === false) cell.append(svg("circle", { class: "invalid", cx: x + step / 2, cy: 102, r: 2.6 }));
    if (turn.reward) cell.append(svg("text", { class: `reward ${sign(turn.reward)}`, x: x + step / 2, y: 106, "text-anchor": "middle" }, turn.reward > 0 ? "★" : "−"));
    if (at === 0 || (at + 1) % 5 === 0) cell.append(svg("text", { class: "tick", x: x + step / 2, y: 117, "text-anchor": "middle" }, String(at + 1)));
    cell.append(svg("rect", { class: "catch", x, width: step, y: 0, height: 118 }));
    cell.addEventListener("pointermove", (event) => tip(event, el("b", {}, `turn ${at + 1}  `), `advantage ${fixed(all)}`, el("br"), `episode part ${fixed(whole)}, step part ${fixed(own)}`, el("br"), ...shown(String(turn.answer ?? "").slice(0, 160))));
    cell.addEventListener("pointerleave", () => tip(null));
    root.append(cell);
  });
  return el("div", { class: "strip-box" }, root);
}

// All turns of the group in the state `key`: GiGPO's second group, which the step part compares.
function anchorTable(members, key, index, at, open) {
  const rows = members.flatMap(({ index: other, episode }) => episode.turns.flatMap((turn, number) => (turn.state_key === key ? [{ other, episode, turn, number }] : [])));
  rows.sort((one, other) => (other.turn.advantage_step ?? 0) - (one.turn.advantage_step ?? 0));
  const scale = Math.max(1e-9, ...rows.map(({ turn }) => Math.abs(turn.advantage_step ?? 0)));
  return el("div", { class: "anchor" },
    el("p", {}, "What the group did in this state, and how it compares (step part):"),
    rows.map(({ other, episode, turn, number }) => el("button", { type: "button", class: other === index && number === at ? "anchor-row here" : "anchor-row", onclick: () => open(other, number) },
      el("span", { class: "figure" }, `#${episode.member ?? "?"}`), el("span", { class: "figure" }, `turn ${number + 1}`),
      el("span", { class: "answer-line" }, ...shown(String(turn.answer ?? "").replace(/\s+/g, " ").slice(0, 200))),
      balance(turn.advantage_step, scale), el("span", { class: `figure ${sign(turn.advantage_step ?? 0)}` }, fixed(turn.advantage_step)))));
}

function turnCard({ turn, at, index, members, visits, scale, open, wanted }) {
  const { all, episode: whole, step: own } = parts(turn);
  const key = turn.state_key;
  const others = visits.get(key) ?? 1;
  const below = el("div", {});
  const toggle = el("button", { type: "button", class: "state", disabled: others < 2, title: key ?? "", onclick: () => {
    const opened = below.childElementCount > 0;
    below.replaceChildren(...(opened ? [] : [anchorTable(members, key, index, at, open)]));
    toggle.setAttribute("aria-expanded", String(!opened));
  } }, el("span", { class: "key" }, ...shown(key ?? "no state key")), el("span", { class: "visits" }, others > 1 ? `${others} turns of the group` : "only here"));
  if (wanted && others > 1) toggle.click();
  const figure = (name, value) => el("div", { class: "part" }, el("span", {}, name), balance(value, scale, name), el("b", { class: sign(value ?? 0) }, fixed(value)));
  return el("article", { class: "turn-card", id: `turn-${at}` },
    el("div", { class: "margin" }, el("div", { class: "number" }, String(at + 1)),
      known(all) && el("div", { class: `total ${sign(all)}` }, fixed(all))),
    el("div", { class: "body" },
      el("div", { class: "observation" }, ...shown(turn.observation ?? "")),
      el("div", { class: turn.format_valid === false || turn.action_valid === false ? "answer wrong" : "answer" }, el("span", { class: "prompt" }, "›"), el("span", { class: "said" }, ...shown(turn.answer ?? ""))),
      el("div", { class: "facts" },
        turn.format_valid === false && chip("bad", "no command in it"),
        turn.format_valid !== false && turn.action_valid === false && chip("warn", "not admissible"),
        turn.reward ? chip(turn.reward > 0 ? "good" : "bad", `reward ${short(turn.reward, true)}`) : null,
        toggle),
      below),
    el("div", { class: "parts" }, known(whole) && figure("episode", whole), known(own) && figure("step", own), known(all) && figure("sum", all)));
}

async function episodeView(index, goTo, turnWanted) {
  const own = data.groups.get(groupKey(index));
  const members = await Promise.all(own.map(async (other) => ({ index: other, episode: await episodeAt(other) })));
  const { episode } = members.find((member) => member.index === index);
  const visits = new Map();
  for (const { episode: other } of members) for (const turn of other.turns) if (known(turn.state_key)) visits.set(turn.state_key, (visits.get(turn.state_key) ?? 0) + 1);
  const scale = scaleOf(episode);
  const split = label("split", index);
  const kind = label("kind", index);
  const status = episode.status ?? "finished";
  const root = el("div", { class: "episode" });
  const jump = (at, behavior = "smooth") => root.querySelector(`#turn-${at}`)?.scrollIntoView({ behavior, block: "center" });
  const open = (other, at) => (other === index ? jump(at) : goTo(other, at));
  const seen = episode.turns.filter((turn) => visits.get(turn.state_key) > 1).length;
  const facts = [
    known(episode.success) && chip(episode.success ? "good" : "bad", episode.success ? "success" : "no success"),
    status !== "finished" && chip("warn", status),
    episode.player && chip("warn", ...shown(`played by ${episode.player}`)), episode.against && chip("plain", ...shown(`against ${episode.against}`)),
    kind && chip("plain", words(kind)), split && chip("plain", split),
    known(episode.iteration) && chip("plain", `iteration ${episode.iteration}`),
  ];
  const amounts = [["return", short(episode.return)], ["score", short(episode.score)], ["turns", String(episode.turns.length)], ["in shared states", episode.turns.length ? `${seen} of ${episode.turns.length}` : "–"]];
  root.append(
    el("div", { class: "card episode-head" },
      el("h2", {}, ...shown(String(episode.task ?? "task without a name"))),
      el("div", { class: "facts" }, facts),
      el("dl", {}, amounts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
      members.length > 1 && el("div", { class: "members" }, el("span", {}, "group"), members.map(({ index: other, episode: member }) =>
        el("button", { type: "button", class: `member ${member.success ? "good" : "bad"}${other === index ? " here" : ""}`, title: `${plural(member.turns.length, "turn")}, return ${short(member.return)}`, onclick: () => goTo(other) }, `#${member.member ?? "?"}`, el("small", {}, `${member.turns.length}`)))),
      episode.turns.length > 0 && strip(episode, scale, (at) => jump(at)),
      el("p", { class: "legend" }, el("i", { class: "swatch episode-part" }), "episode part", el("i", { class: "swatch step-part" }), "step part", el("i", { class: "swatch total" }), "advantage (sum)", el("i", { class: "swatch invalid" }), "invalid answer"),
      episode.system && el("details", { class: "system" }, el("summary", {}, "instructions"), el("div", { class: "observation" }, ...shown(episode.system)))),
    el("div", { class: "turns" }, episode.turns.map((turn, at) => turnCard({ turn, at, index, members, visits, scale, open, wanted: at === turnWanted }))));
  if (known(episode.observation)) root.append(el("article", { class: "turn-card last" }, el("div", { class: "margin" }, "end"), el("div", { class: "body" }, el("div", { class: "observation" }, ...shown(episode.observation)))));
  if (episode.error) root.append(el("article", { class: "turn-card last" }, el("div", { class: "margin" }, "error"), el("div", { class: "body" }, el("div", { class: "observation error" }, ...shown(episode.error)))));
  if (!episode.turns.length) root.append(el("p", { class: "notice" }, "This episode ended before its first action."));
  if (known(turnWanted)) requestAnimationFrame(() => { jump(turnWanted, "instant"); root.querySelector(`#turn-${turnWanted}`)?.classList.add("wanted"); });
  return root;
}
