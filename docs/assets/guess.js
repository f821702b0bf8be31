// A question with choices becomes a radio group. The reason for a choice is read from the answer's fold below it, which
// opens after a guess; without this, the choices are a list and the fold opens as any other does.
for (const answer of document.querySelectorAll("ol + .answer")) {
  const choices = answer.previousElementSibling
  const reasons = [...answer.querySelector("ol").children]
  const summary = answer.querySelector("summary")
  const title = summary.textContent

  const group = document.createElement("fieldset")
  group.className = "guess"
  choices.previousElementSibling.id = "question"
  group.setAttribute("aria-labelledby", "question")
  choices.replaceWith(group)
  group.append(choices)

  for (const [place, choice] of [...choices.children].entries()) {
    const label = document.createElement("label")
    label.append(...choice.childNodes)
    label.insertAdjacentHTML("afterbegin", `<input type="radio" name="guess" value="${place}">`)
    choice.append(label)
    choice.insertAdjacentHTML("beforeend", '<p class="guess__why" role="status"></p>')
    reasons[place].value = place + 1 // it keeps its number when one above it moves away
  }

  summary.textContent = `${title}: guess first`
  summary.addEventListener("click", (event) => {
    if (group.querySelector(":checked")) return
    event.preventDefault()
    group.querySelector("input").focus()
  })

  group.addEventListener("change", ({ target }) => {
    const reason = reasons[target.value]
    const why = choices.children[target.value].querySelector(".guess__why")
    summary.textContent = title
    if (reason.hidden) return // it was tried before
    reason.hidden = true
    const isRight = reason.textContent.startsWith("Yes.")
    why.classList.add(isRight ? "right" : "wrong")
    why.append(...reason.childNodes)
    if (isRight) answer.open = true
  })
}
