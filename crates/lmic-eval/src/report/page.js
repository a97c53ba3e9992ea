// What the page can do beyond showing everything: tabs, sorting, a marked codec, light and dark, the section in view.
// What the reader chose is kept in the browser; the marked codec also stands behind # in the address, so that it can be sent.
"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const kept = (name, value) => {
  // A browser may forbid keeping anything: then the page forgets.
  try {
    if (value === undefined) return localStorage.getItem(`lmic-${name}`) ?? "";
    localStorage.setItem(`lmic-${name}`, value);
  } catch {}
  return "";
};

// Tabs. A choice of convention holds for every section that has it, too; what was clicked stays where it is on the screen.
const choose = (tab) => {
  const list = tab.parentElement;
  const section = list.parentElement;
  const at = [...list.children].indexOf(tab);
  for (const other of list.children) {
    other.classList.toggle("on", other === tab);
    other.setAttribute("aria-selected", other === tab);
    other.tabIndex = other === tab ? 0 : -1;
  }
  for (const panel of all(".panel", section)) panel.classList.toggle("on", panel.dataset.tab === String(at));
  // A table without bars leaves those that are there.
  const bars = all(".bars-of", section);
  if (bars.some((figure) => figure.dataset.tab === String(at))) {
    for (const figure of bars) figure.classList.toggle("on", figure.dataset.tab === String(at));
  }
};
const chooseEverywhere = (name) => {
  for (const list of all(".tabs")) {
    const tab = [...list.children].find((tab) => "shared" in tab.dataset && tab.textContent === name);
    if (tab) choose(tab);
  }
};
for (const list of all(".tabs")) {
  const pick = (tab) => {
    const top = list.getBoundingClientRect().top;
    choose(tab);
    if ("shared" in tab.dataset) {
      chooseEverywhere(tab.textContent);
      kept("tab", tab.textContent);
    }
    scrollBy(0, list.getBoundingClientRect().top - top);
  };
  list.addEventListener("click", (event) => {
    if (event.target.role === "tab") pick(event.target);
  });
  list.addEventListener("keydown", (event) => {
    const tabs = [...list.children];
    const at = tabs.indexOf(document.activeElement);
    const last = tabs.length - 1;
    const to = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at === 0 ? last : at - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    tabs[to].focus({ preventScroll: true });
    pick(tabs[to]);
  });
}
if (kept("tab")) chooseEverywhere(kept("tab"));

// Sorting. The first click sorts so that the better is first, the next the other way round, the third as it was.
// Numbers go before words, and what is missing is always last.
const units = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, KB: 1e3, K: 1e3, MB: 1e6, M: 1e6, GB: 1e9 };
const worth = (cell) => {
  const text = cell.textContent.trim();
  if (text === "" || text === "-") return { missing: true };
  const [, number, unit] = text.match(/^([+-]?\d[\d.]*(?:e[+-]?\d+)?)\s*(\S*)/) ?? [];
  return { text, number: number === undefined ? NaN : Number(number) * (units[unit] ?? 1) };
};
const compare = (a, b) => {
  if (isNaN(a.number) || isNaN(b.number)) {
    return isNaN(a.number) - isNaN(b.number) || a.text.localeCompare(b.text, undefined, { numeric: true });
  }
  return a.number - b.number;
};
const sort = (table, column, order) => {
  const body = table.tBodies[0];
  body.unsorted ??= [...body.rows];
  const rows = body.unsorted.map((row) => ({ row, worth: worth(row.cells[column]) }));
  rows.sort((a, b) => {
    if (a.worth.missing || b.worth.missing) return Boolean(a.worth.missing) - Boolean(b.worth.missing);
    return order === "none" ? 0 : compare(a.worth, b.worth) * (order === "ascending" ? 1 : -1);
  });
  body.append(...(order === "none" ? body.unsorted : rows.map((of) => of.row)));
};
for (const table of all(".box table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    if (!button.textContent) button.textContent = "name";
    head.append(button);
    button.addEventListener("click", () => {
      const turns = head.dataset.good === "more" ? ["descending", "ascending", "none"] : ["ascending", "descending", "none"];
      const order = turns[(turns.indexOf(head.getAttribute("aria-sort") ?? "none") + 1) % 3];
      for (const other of heads) other.removeAttribute("aria-sort");
      if (order !== "none") head.setAttribute("aria-sort", order);
      sort(table, column, order);
    });
  });
}

// The reader's own codec. Words match from their beginnings, and "lmic -7" is "lmic-7"; a level of 1 is not one of 19.
const plain = (text) => ` ${text.toLowerCase().replace(/[\s-]+/g, " ").trim()} `;
const field = document.getElementById("mark");
const mark = (wanted) => {
  const query = plain(wanted).trimEnd();
  const is = (name) => {
    const text = plain(name ?? "");
    const at = text.indexOf(query);
    return query !== "" && at >= 0 && !(/\d$/.test(query) && /\d/.test(text[at + query.length]));
  };
  let places = 0;
  const set = (element, name) => {
    const mine = is(name);
    element.classList.toggle("mine", mine);
    places += mine;
    return mine;
  };
  for (const part of all(".series, .bars .row, .bars .head, .bar[data-name]")) set(part, part.dataset.name);
  for (const part of all(".drawing g")) if (part.querySelector(".full") && part.querySelector("line")) set(part, part.querySelector("text")?.textContent);
  for (const table of all(".box table")) {
    for (const row of table.tBodies[0].rows) set(row, row.cells[0].textContent);
    // Where codecs stand beside each other, a column.
    if (!("across" in table.dataset)) continue;
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const mine = "good" in head.dataset && set(head, head.textContent);
      for (const row of table.tBodies[0].rows) row.cells[column].classList.toggle("mine", mine);
    });
  }
  const said = query === "" ? "" : places ? `marked in ${places} places` : "nothing of this name";
  document.getElementById("marked").textContent = said;
};

// The address has the section and the mark: #table1&mark=zstd.
const parts = () => location.hash.slice(1).split("&");
const address = (wanted) => {
  const section = parts().find((part) => !part.includes("=")) ?? "";
  const hash = [section, wanted && `mark=${encodeURIComponent(wanted)}`].filter(Boolean).join("&");
  if (`#${hash}` !== location.hash && (hash || location.hash)) history.replaceState(null, "", `#${hash}`);
};
const told = () => {
  const part = parts().find((part) => part.startsWith("mark="));
  return part && new URLSearchParams(part).get("mark");
};
field.value = told() ?? kept("mark");
mark(field.value);
address(field.value);
field.addEventListener("input", () => {
  mark(field.value);
  kept("mark", field.value);
  address(field.value);
});
addEventListener("hashchange", () => {
  if (told() !== undefined && told() !== field.value) mark((field.value = told()));
  address(field.value);
});
if (parts()[0] && !parts()[0].includes("=")) document.getElementById(parts()[0])?.scrollIntoView();

// Light and dark: the other of what is seen now.
document.getElementById("look").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.style.colorScheme ? root.style.colorScheme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.style.colorScheme = dark ? "light" : "dark";
  kept("look", root.style.colorScheme);
});

// Contents: folded where the screen is narrow, and the section in view is marked.
const narrow = matchMedia("(max-width: 999px)");
const contents = document.querySelector("nav details");
const fold = () => (contents.open = !narrow.matches);
fold();
narrow.addEventListener("change", fold);
contents.addEventListener("click", (event) => {
  if (narrow.matches && event.target.matches("a")) contents.open = false;
});
const links = all("nav a");
const follow = () => {
  const sections = links.map((link) => document.getElementById(link.hash.slice(1)));
  const at = sections.findLastIndex((section) => section.getBoundingClientRect().top < innerHeight / 3);
  links.forEach((link, i) => {
    if (i === at) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  });
};
addEventListener("scroll", () => requestAnimationFrame(follow), { passive: true });
follow();

// Plots say what is under the pointer: all lines at the nearest place, the highest first.
const hint = document.getElementById("hint");
const place = (event) => {
  const right = event.clientX + 18 + hint.offsetWidth < innerWidth;
  hint.style.left = `${Math.max(4, event.clientX + (right ? 16 : -16 - hint.offsetWidth))}px`;
  hint.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - hint.offsetHeight - 8))}px`;
};
for (const svg of all("svg.lines")) {
  const points = all("circle", svg);
  // What titles say is said sooner here.
  for (const title of all("title", svg)) title.remove();
  const cursor = svg.querySelector(".grid").cloneNode();
  cursor.setAttribute("class", "cursor");
  svg.addEventListener("pointermove", (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const x = points.map((point) => point.cx.baseVal.value).reduce((a, b) => (Math.abs(b - at.x) < Math.abs(a - at.x) ? b : a));
    const here = points.filter((point) => point.cx.baseVal.value === x).sort((a, b) => a.cy.baseVal.value - b.cy.baseVal.value);
    hint.textContent = `${here[0].dataset.x}\n` + here.map((point) => `${point.dataset.y.padStart(8)}  ${point.parentElement.dataset.name}`).join("\n");
    hint.hidden = false;
    place(event);
    const grid = svg.querySelector(".grid");
    const [y1, y2] = [26, svg.viewBox.baseVal.height - 44];
    for (const [name, value] of Object.entries({ x1: x, x2: x, y1, y2 })) cursor.setAttribute(name, value);
    svg.insertBefore(cursor, grid);
  });
  svg.addEventListener("pointerleave", () => {
    hint.hidden = true;
    cursor.remove();
  });
}
document.body.dataset.ready = "yes";
