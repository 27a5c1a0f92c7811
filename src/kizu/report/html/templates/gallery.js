"use strict";
// Gallery, enlarged view, regions. All text gets into the page as text, never as HTML.
(() => {
  const report = JSON.parse(document.getElementById("report-data").textContent);
  const pictures = document.getElementById("report-pictures").textContent.trim().split("\n");
  const words = report.words;
  const BATCH = report.printed;
  const byId = (id) => document.getElementById(id);

  const say = (key, values) => words[key].replace(/\{(\w+)\}/g, (_, name) => values[name].toLocaleString(report.language));

  const element = (tag, className, text) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const badge = (verdict) => {
    const made = element("span", `badge ${verdict}`);
    const sign = element("span", "sign");
    sign.setAttribute("aria-hidden", "true");
    made.append(sign, words[verdict]);
    return made;
  };

  // ---- pictures: [input, heat map, found, truth] of an image; "" for one that is not there
  const TYPES = ["image/jpeg", "image/jpeg", "image/png", "image/png"];
  const PANELS = ["panel_image", "panel_heat", "panel_found", "panel_truth"];
  const picturesOf = (place) =>
    place < pictures.length
      ? pictures[place].split(" ").map((data, i) => (data === "-" ? "" : `data:${TYPES[i]};base64,${data}`))
      : ["", "", "", ""];

  const picture = (source, alt) => {
    const made = element("img");
    made.decoding = "async";
    made.loading = "lazy";
    made.alt = alt;
    made.src = source;
    return made;
  };

  // ---- gallery
  const list = byId("images");
  const form = byId("filters");
  const more = byId("more");
  const collator = new Intl.Collator(report.language, { numeric: true });
  let chosen = [];
  let drawn = 0;

  const describe = (image) => {
    const kind = image.label ? `, ${image.kind}, ${words[image.outcome]}` : "";
    return `${image.name}: ${words[image.verdict]}, ${words.score} ${image.scoreText}${kind}`;
  };

  const card = (position) => {
    const place = chosen[position];
    const image = report.images[place];
    const item = element("li");
    const button = element("button", image.outcome);
    button.type = "button";
    button.dataset.position = position;
    button.setAttribute("aria-label", describe(image));
    const two = element("span", "two");
    const [input, heat] = picturesOf(place);
    if (input) two.append(picture(input, words.panel_image), picture(heat, words.panel_heat));
    else two.append(element("span", "quiet", words.no_picture));
    const line = element("span", "line");
    line.append(badge(image.verdict), `${words.score} ${image.scoreText}`);
    if (image.label) line.append(element("span", "outcome", words[image.outcome]), element("bdi", "", image.kind));
    const name = element("bdi", "name", image.name);
    name.title = image.name;
    button.append(two, line, name);
    item.append(button);
    return item;
  };

  const drawMore = () => {
    const end = Math.min(drawn + BATCH, chosen.length);
    const batch = document.createDocumentFragment();
    for (; drawn < end; drawn += 1) batch.append(card(drawn));
    list.append(batch);
    more.hidden = drawn >= chosen.length;
  };

  const ORDERS = {
    high: (a, b) => report.images[b].score - report.images[a].score,
    low: (a, b) => report.images[a].score - report.images[b].score,
    name: (a, b) => collator.compare(report.images[a].name, report.images[b].name),
  };

  const wanted = (image, asked) =>
    (!asked.outcome || image.outcome === asked.outcome || (asked.outcome === "mistakes"
      && (image.outcome === "missed" || image.outcome === "false_alarm")))
    && (!asked.label || image.label === asked.label)
    && (!asked.kind || image.kindPlace === Number(asked.kind))
    && (!asked.verdict || image.verdict === asked.verdict)
    && (!asked.text || image.name.normalize().toLowerCase().includes(asked.text.normalize().toLowerCase()));

  const filter = () => {
    const asked = Object.fromEntries(new FormData(form));
    chosen = report.images.map((_, place) => place).filter((place) => wanted(report.images[place], asked));
    if (ORDERS[asked.order]) chosen.sort(ORDERS[asked.order]);
    list.replaceChildren();
    drawn = 0;
    if (chosen.length) drawMore();
    else {
      list.append(element("li", "empty", words.none_match));
      more.hidden = true;
    }
    byId("shown").textContent = say("shown_of", { shown: chosen.length, n: report.images.length });
  };

  const filterFromFirst = () => {
    form.reset();
    filter();
  };

  // Arrow keys go from card to card, as many down and up as a row holds.
  const step = (event) => {
    const cards = [...list.querySelectorAll("button")];
    const here = cards.indexOf(document.activeElement);
    const across = cards.filter((other) => other.offsetTop === cards[0].offsetTop).length;
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across }[event.key];
    if (here < 0 || !by) return;
    event.preventDefault();
    if (here + by >= cards.length && drawn < chosen.length) drawMore();
    list.querySelectorAll("button")[Math.max(0, Math.min(here + by, drawn - 1))].focus();
  };

  // ---- enlarged view
  const viewer = byId("viewer");
  let position = 0;

  const panel = (name, source, missing) => {
    const made = element("figure");
    made.append(element("figcaption", "", words[name]));
    made.append(source ? picture(source, words[name]) : element("div", "missing", missing));
    return made;
  };

  const show = (wantedPosition) => {
    position = Math.max(0, Math.min(wantedPosition, chosen.length - 1));
    const place = chosen[position];
    const image = report.images[place];
    const sources = picturesOf(place);
    const missing = sources[0] ? ["", "", words.nothing_found, words.nothing_marked] : Array(4).fill(words.no_picture);
    byId("viewer-name").replaceChildren(element("bdi", "", image.name));
    const facts = [badge(image.verdict), `${words.score} ${image.scoreText}`, `${words.p_value} ${image.pText}`];
    if (image.label) facts.push(words[image.outcome], element("bdi", "", image.kind));
    byId("viewer-facts").replaceChildren(
      ...[...facts, image.size].map((fact) => (typeof fact === "string" ? element("span", "", fact) : fact)));
    byId("viewer-panels").className = image.wide ? "panels wide" : "panels";
    byId("viewer-panels").replaceChildren(...PANELS.map((name, i) => panel(name, sources[i], missing[i])));
    byId("viewer-regions").hidden = !image.regions.length;
    byId("viewer-regions").tBodies[0].replaceChildren(...image.regions.map((region) => {
      const row = element("tr");
      row.append(...region.map((value) => element("td", "number", value)));
      return row;
    }));
    byId("viewer-position").textContent = say("position", { place: position + 1, n: chosen.length });
    byId("viewer-previous").disabled = position === 0;
    byId("viewer-next").disabled = position === chosen.length - 1;
    if (!viewer.open) viewer.showModal();
  };

  const showPlace = (place) => {
    if (!chosen.includes(place)) filterFromFirst();
    show(chosen.indexOf(place));
  };

  const backToCard = () => {
    while (drawn <= position && drawn < chosen.length) drawMore();
    const button = list.querySelector(`button[data-position="${position}"]`);
    if (button) button.focus();
  };

  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  more.addEventListener("click", drawMore);
  list.addEventListener("keydown", step);
  list.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) show(Number(button.dataset.position));
  });
  byId("viewer-close").addEventListener("click", () => viewer.close());
  byId("viewer-previous").addEventListener("click", () => show(position - 1));
  byId("viewer-next").addEventListener("click", () => show(position + 1));
  viewer.addEventListener("close", backToCard);
  viewer.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by) {
      event.preventDefault();
      show(position + by);
    }
  });
  viewer.addEventListener("click", (event) => {
    if (event.target === viewer) viewer.close();  // beside the dialog itself
  });
  const watcher = new IntersectionObserver((seen) => {
    if (!seen.some((entry) => entry.isIntersecting) || more.hidden) return;
    drawMore();
    watcher.unobserve(more);  // it may still be in sight, which alone is not told again
    watcher.observe(more);
  }, { rootMargin: "600px" });
  watcher.observe(more);

  // ---- regions
  const rows = byId("region-rows");
  if (rows) {
    rows.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) showPlace(Number(button.dataset.place));
    });
  }
  const allRows = byId("regions-more");
  if (allRows) {
    allRows.addEventListener("click", () => {
      rows.classList.remove("few");
      allRows.hidden = true;
    });
  }
  const download = byId("coco-download");
  if (download) {
    download.addEventListener("click", () => {
      const link = element("a");
      link.href = URL.createObjectURL(new Blob([byId("report-coco").textContent], { type: "application/json" }));
      link.download = "regions.coco.json";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000); // a busy machine begins late to save it
    });
  }

  document.addEventListener("show-image", (event) => showPlace(event.detail));
  filter();
})();
