// The box "Paste your error". What is pasted stays in this page: the entries are fetched once, when the box is first
// used, and compared here. Without this script, the list of all entries stands on the index of the pitfalls.
const assets = new URL(".", document.currentScript.src)

let fetched
const load = () =>
  (fetched ??= import(new URL("told.js", assets)).then(({ explainer }) => explainer()))

for (const box of document.querySelectorAll(".answers")) {
  box.innerHTML = `<label for="answers-text">Your traceback, a warning, or what you see. It stays in this page.</label>
    <textarea id="answers-text" rows="4" spellcheck="false" autocapitalize="off"></textarea>
    <div role="status" class="answers__told"></div>`
  const [field, status] = box.querySelectorAll("textarea, div")
  const show = async () => {
    const pasted = field.value
    const explained = await load()
    if (pasted !== field.value) return
    status.replaceChildren(...(pasted.trim() ? explained(pasted).elements : []))
  }
  let waiting
  field.addEventListener("focus", load)
  field.addEventListener("input", () => {
    clearTimeout(waiting)
    const isAsked = Boolean(field.value.trim())
    status.classList.toggle("answers__told--asked", isAsked) // what is below goes down now, and not when the answer comes
    if (isAsked && !status.hasChildNodes()) status.textContent = "Looking it up…"
    waiting = setTimeout(show, 200)
  })
}
