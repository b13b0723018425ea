for (const map of document.querySelectorAll("figure.map")) {
  const svg = map.querySelector("svg");
  const seen = map.querySelector(".seen");
  const words = seen.querySelector("p");
  const images = seen.querySelector("div");
  const points = [...svg.querySelectorAll("[data-text]")];
  const across = Number(map.dataset.across);
  const small = Number(map.dataset.small);
  let current = -1;
  const show = (number) => {
    points[current]?.classList.remove("current");
    current = number;
    const point = points[current];
    point.classList.add("current");
    words.textContent = point.dataset.text;
    images.replaceChildren(
      ...point.dataset.cells.split(" ").filter(Boolean).map((cell) => {
        const image = document.createElement("span");
        image.className = "sheet";
        image.style.backgroundPosition = `${-(cell % across) * small * 2}px ${-Math.floor(cell / across) * small * 2}px`;
        return image;
      }),
    );
  };
  const pointed = (event) => {
    const number = points.indexOf(event.target.closest("[data-text]"));
    if (number >= 0) show(number);
  };
  svg.addEventListener("pointerover", pointed);
  svg.addEventListener("click", pointed);
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step || !points.length) return;
    event.preventDefault();
    show((current + step + points.length) % points.length);
  });
  for (const choice of map.querySelectorAll("input")) {
    choice.addEventListener("change", () => { map.dataset.by = choice.value; });
  }
}
