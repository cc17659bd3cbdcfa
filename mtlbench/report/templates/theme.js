const root = document.documentElement;
for (const element of document.querySelectorAll(".scripted")) element.hidden = false;
for (const element of document.querySelectorAll(".unscripted")) element.hidden = true;
root.classList.add("scripts");

const button = document.getElementById("theme");
const preferred = matchMedia("(prefers-color-scheme: dark)");

function paint() {
  const dark = (root.dataset.theme || (preferred.matches ? "dark" : "light")) === "dark";
  button.setAttribute("aria-pressed", String(dark));
}

button.addEventListener("click", () => {
  root.dataset.theme = button.getAttribute("aria-pressed") === "true" ? "light" : "dark";
  paint();
});
preferred.addEventListener("change", paint);
paint();

// What is folded away is printed, and what a link points to is unfolded.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const details of folded) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of folded) details.open = false;
  folded = [];
});

function reveal() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let element = target; element; element = element.parentElement) {
    if (element.localName === "details") element.open = true;
  }
  target.scrollIntoView();
}
addEventListener("hashchange", reveal);
reveal();
