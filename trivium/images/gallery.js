
"use strict";
const cards = [...document.querySelectorAll(".card")];
const filter = document.getElementById("filter");
const count = document.getElementById("count");
let shown = cards;

filter.addEventListener("input", () => {
  const wanted = filter.value.toLowerCase();
  for (const card of cards) card.hidden = !card.title.toLowerCase().includes(wanted);
  shown = cards.filter((card) => !card.hidden);
  count.textContent = shown.length === cards.length ? `${shown.length}` : `${shown.length} of ${cards.length}`;
});

function columns() {
  const first = shown.findIndex((card) => card.offsetTop > shown[0].offsetTop);
  return first < 0 ? shown.length : first;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    filter.value = "";
    filter.dispatchEvent(new Event("input"));
    filter.blur();
    return;
  }
  if (document.activeElement === filter) {
    if (event.key === "Enter" || event.key === "ArrowDown") {
      event.preventDefault();
      shown[0]?.focus();
    }
    return;
  }
  if (event.key === "/") {
    event.preventDefault();
    filter.focus();
    return;
  }
  const at = shown.indexOf(document.activeElement);
  const moves = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 0, ArrowUp: 0, Home: 0, End: 0 };
  if (!(event.key in moves) || !shown.length) return;
  event.preventDefault();
  let to = at + moves[event.key];
  if (event.key === "ArrowDown") to = at + columns();
  if (event.key === "ArrowUp") to = at - columns();
  if (event.key === "Home" || at < 0) to = 0;
  if (event.key === "End") to = shown.length - 1;
  if (to >= 0 && to < shown.length) shown[to].focus();
});
