// Frames of explorers: as tall as the explorer in them, and light or dark as the page is.

const tell = (frame) => frame.contentWindow.postMessage({ jointnetTheme: document.documentElement.dataset.theme }, "*");
const frames = () => [...document.querySelectorAll(".live iframe")];

addEventListener("message", ({ data, source }) => {
  const frame = data.jointnetHeight && frames().find((one) => one.contentWindow === source);
  if (!frame) return;
  frame.parentElement.classList.add("alive");
  frame.parentElement.style.height = `${data.jointnetHeight}px`;
  tell(frame);
});
new MutationObserver(() => frames().forEach(tell)).observe(
  document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
