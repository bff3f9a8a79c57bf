"use strict";
// Counts the sample's rows again when a threshold is moved. Which rows a rule drops at which
// position was asked of the rule itself, in Python, when this page was written.
(() => {
  const data = JSON.parse(document.getElementById("what-if").textContent);
  const bytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  const input = (rule, slider) => document.getElementById(`${rule.reason}.${slider.field}`);
  const show = (number) => number.toLocaleString("en");
  const change = (number) => (number > 0 ? "+" : number < 0 ? "\u2212" : "") + show(Math.abs(number));

  const ends = bytes(data.ends);
  for (const rule of data.rules) {
    rule.flips = bytes(rule.flips);
    for (const slider of rule.sliders) {
      slider.flips = bytes(slider.flips);
      slider.input = input(rule, slider);
    }
  }
  const position = (slider) => (slider.input ? slider.input.valueAsNumber : slider.start);

  // The byte of a row: 128 where position 0 drops it, plus where it changes sides (127: never).
  const drops = (flip, at) => flip > 127 !== at >= (flip & 127);
  const dropsRow = (rule, at, row) =>
    rule.sliders.length
      ? rule.sliders.some((slider, number) => drops(slider.flips[row], at[number]))
      : rule.flips[row] > 127;

  function count(positionOf) {
    const rows = Object.fromEntries(
      ["kept", ...data.ended, ...data.rules.map((rule) => rule.reason)].map((name) => [name, 0]),
    );
    const at = data.rules.map((rule) => rule.sliders.map(positionOf));
    for (let row = 0; row < ends.length; row++) {
      if (ends[row]) {
        rows[data.ended[ends[row] - 1]]++;
        continue;
      }
      const rule = data.rules.find((one, number) => dropsRow(one, at[number], row));
      rows[rule ? rule.reason : "kept"]++;
    }
    return rows;
  }

  function lines() {
    const changed = data.rules.filter((rule) => rule.sliders.some((s) => position(s) !== s.start));
    return changed
      .map((rule) => {
        const settings = { ...rule.settings };
        for (const slider of rule.sliders) settings[slider.field] = slider.positions[position(slider)];
        const set = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
        return ["[[select.rules]]", ...set].join("\n");
      })
      .join("\n\n");
  }

  const then = count((slider) => slider.start);

  function tell(id, text) {
    document.getElementById(id).textContent = text;
  }

  function write(name, kind, text) {
    document.querySelector(`[data-${kind}="${name}"]`).textContent = text;
  }

  function update() {
    const now = count(position);
    for (const [name, rows] of Object.entries(now)) {
      write(name, "then", show(then[name]));
      write(name, "now", show(rows));
      write(name, "change", rows === then[name] ? "" : change(rows - then[name]));
    }
    const share = ((100 * now.kept) / ends.length).toFixed(1);
    const scaled = Math.round((data.fetched * now.kept) / ends.length);
    const about =
      ends.length === data.fetched ? "" : `, about ${show(scaled)} of ${show(data.fetched)}`;
    const moved = now.kept === then.kept ? "" : `, ${change(now.kept - then.kept)}`;
    tell("kept-now", show(now.kept));
    tell("kept-share", `${share}%`);
    tell("kept-about", about);
    tell("kept-change", moved);
    tell("lines", lines() || "Nothing is changed.");
    document.getElementById("reset").disabled = !lines();
  }

  function settle(slider) {
    const value = slider.positions[position(slider)];
    slider.input.setAttribute("aria-valuetext", value);
    slider.input.parentElement.querySelector("output").textContent = value;
    for (const line of document.querySelectorAll(`[data-slider="${slider.input.id}"]`)) {
      const place = line.dataset.places.split(" ")[position(slider)];
      line.setAttribute("x1", place);
      line.setAttribute("x2", place);
    }
  }

  const moving = data.rules.flatMap((rule) => rule.sliders).filter((slider) => slider.input);
  for (const slider of moving) {
    slider.input.addEventListener("input", () => {
      settle(slider);
      update();
    });
  }
  document.getElementById("reset").addEventListener("click", () => {
    for (const slider of moving) {
      slider.input.value = slider.start;
      settle(slider);
    }
    update();
  });
  for (const slider of moving) {
    slider.input.value = slider.start; // a browser may restore what it had before a reload
    settle(slider);
  }
  update();
  for (const element of document.querySelectorAll(".scripted")) element.hidden = false;
})();
