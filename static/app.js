/* What htmx does not do: copying, keyboard shortcuts, the reader's own time, and saying that the server is away.
   Every listener is delegated, so it also serves what htmx swaps in. Texts come from data attributes. */
"use strict";

const announcement = () => document.getElementById("announcement");

function announce(text) {
  const place = announcement();
  if (place) place.textContent = text;
}

/* Without a secure context (plain http on another host) there is no clipboard, but there is a selection. */
function selectAndCopy(text) {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  field.readOnly = true;
  const before = document.activeElement;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (before instanceof HTMLElement) before.focus();
  return done;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return selectAndCopy(text);
  }
}

async function textOf(button) {
  if (button.dataset.copyFrom) return document.querySelector(button.dataset.copyFrom)?.textContent;
  if (!("copyUrl" in button.dataset)) return button.dataset.copy;
  const response = await fetch(button.href, { credentials: "same-origin" });
  return response.ok && !response.redirected ? response.text() : undefined;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-from], [data-copy-url]");
  if (!button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const text = await textOf(button).catch(() => undefined);
  if (text === undefined) return trouble("failed");
  const done = await copy(text);
  const source = button.dataset.copyFrom ? document.querySelector(button.dataset.copyFrom) : null;
  if (!done && source) getSelection().selectAllChildren(source);
  announce(done ? announcement().dataset.copied : announcement().dataset.notCopied);
  if (!done) return;
  button.classList.add("done");
  setTimeout(() => button.classList.remove("done"), 1500);
});

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

/* Single keys can be turned off, and never count while somebody types or composes a syllable. */
const shortcutsAreOff = () => document.documentElement.dataset.shortcuts === "off";
let lastKey = "";

function focusNext(step) {
  const main = document.getElementById("main");
  const rows = [...main.querySelectorAll(".list tbody tr")].map((row) => row.querySelector("a[href]")).filter(Boolean);
  const stops = rows.length ? rows : [...main.querySelectorAll(".turn")];
  const current = stops.findIndex((stop) => stop.contains(document.activeElement) || stop.closest("tr")?.contains(document.activeElement));
  const next = stops[current < 0 ? (step > 0 ? 0 : stops.length - 1) : current + step];
  if (!next) return;
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: rows.length ? "nearest" : "start" });
}

const shortcuts = {
  j: () => focusNext(1),
  k: () => focusNext(-1),
  c: () => (document.activeElement.closest("tr")?.querySelector(".copy") ?? document.querySelector("main .copy"))?.click(),
  "?": () => document.getElementById("shortcuts")?.showModal(),
  "/": () => {
    const box = document.querySelector('[data-shortcut="/"]');
    box?.focus();
    box?.select();
  },
};

document.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  if (event.key === "Escape") {
    document.activeElement.closest(".token")?.blur();
    const menu = document.querySelector("details.menu[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
    return;
  }
  const typing = event.target.closest("input, textarea, select, [contenteditable], dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || shortcutsAreOff()) return;
  const place = lastKey === "g" ? document.querySelector(`[data-go="${CSS.escape(event.key)}"]`) : null;
  const shortcut = lastKey === "g" ? null : Object.hasOwn(shortcuts, event.key) && shortcuts[event.key];
  lastKey = event.key === "g" && lastKey !== "g" ? "g" : "";
  if (!place && !shortcut) return;
  event.preventDefault();
  if (place) location.assign(place.href);
  else shortcut();
});

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (!opener) return;
  const menu = opener.closest("details.menu");
  if (menu) menu.open = false;
  document.getElementById(opener.dataset.opens).showModal();
});

function showOwnTime(root) {
  const format = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "full", timeStyle: "long" });
  for (const time of root.querySelectorAll("time[data-moment]")) {
    time.title = format.format(new Date(time.dateTime));
  }
}

showOwnTime(document);
document.addEventListener("htmx:load", (event) => showOwnTime(event.target));

function trouble(kind) {
  const place = document.getElementById("trouble");
  place.hidden = !kind;
  place.textContent = kind ? place.dataset[kind] : "";
}

document.addEventListener("htmx:sendError", () => trouble("unreachable"));
document.addEventListener("htmx:timeout", () => trouble("unreachable"));
document.addEventListener("htmx:responseError", () => trouble("failed"));
document.addEventListener("htmx:afterOnLoad", () => trouble(""));

/* Browsing. A click that is to open a tab is the browser's; so is one where there is no room beside the list. */
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[hx-get]");
  if (!link) return;
  const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey;
  if (elsewhere || (link.dataset.peek && !matchMedia("(min-width: 64rem)").matches)) event.stopPropagation();
}, true);

/* Nobody looks at a hidden tab, so it asks for nothing. */
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.target.matches('[hx-trigger^="every"]')) event.preventDefault();
});

/* Which row is the one beside the list. */
document.addEventListener("htmx:afterSettle", () => {
  const peeked = document.getElementById("peek")?.dataset.peeked;
  for (const link of document.querySelectorAll("a[data-peek]")) {
    if (link.dataset.peek === peeked) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
});
