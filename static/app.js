/* What htmx does not do: copying, the "/" key, the reader's own time, and saying that the server is away.
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

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-from]");
  if (!button) return;
  const source = button.dataset.copyFrom ? document.querySelector(button.dataset.copyFrom) : null;
  const done = await copy(source ? source.textContent : button.dataset.copy);
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

document.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  if (event.key === "Escape") {
    const menu = document.querySelector("details.menu[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
    return;
  }
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const box = document.querySelector(`[data-shortcut="${CSS.escape(event.key)}"]`);
  if (!box) return;
  event.preventDefault();
  box.focus();
  box.select();
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
