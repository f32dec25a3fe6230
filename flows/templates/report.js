for (const figure of document.querySelectorAll(".compare")) {
  const slider = figure.querySelector("input");
  slider.addEventListener("input", () => figure.style.setProperty("--at", slider.value + "%"));
}
