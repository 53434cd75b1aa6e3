// Quiz: questions with choices; what is said to each choice appears below it, in words.

/** One question: a group of radio buttons, which the arrow keys move through, and a line that is read aloud. */
function questionOf(model, question, number, onChange) {
  const name = `jn-quiz-${++labelCount}`;
  const said = h("p", { class: "jn-said", role: "status" });
  const choices = question.choices.map((choice, at) => {
    const input = h("input", { type: "radio", name, "data-lm-suppress-shortcuts": "true" });
    input.addEventListener("change", () => {
      model.set("chosen", model.get("chosen").map((old, k) => (k === number ? at : old)));
      model.save_changes();
    });
    return [input, h("label", { class: "jn-choice" }, input, h("span", {}, choice.text))];
  });
  const show = () => {
    const at = model.get("chosen")[number];
    choices.forEach(([input], k) => { input.checked = k === at; });
    const choice = question.choices[at];
    said.textContent = choice ? `${choice.right ? "Right." : "Not this one."} ${choice.says}` : "";
    said.dataset.right = choice ? String(Boolean(choice.right)) : "";
    onChange();
  };
  model.on("change:chosen", show);
  show();
  return h("fieldset", { class: "jn-question" },
    h("legend", {}, `${number + 1}. ${question.question}`), ...choices.map(([, label]) => label), said);
}

function renderQuiz({ model, el }) {
  const questions = model.get("questions");
  const count = h("p", { class: "jn-sentence", role: "status" });
  const tell = () => {
    const right = model.get("chosen").filter((at, k) => questions[k].choices[at]?.right).length;
    count.textContent = `${right} of ${questions.length} right`;
  };
  const root = h("div", { class: "jn jn-quiz", role: "group", "aria-label": model.get("heading"), "data-ready": "false" },
    h("p", { class: "jn-heading" }, model.get("heading")),
    ...questions.map((question, number) => questionOf(model, question, number, tell)), count, errorLine(model));
  el.append(root);
  root.dataset.ready = "true";
}

export default { render: renderQuiz };
