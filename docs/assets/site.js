// Few readers search, and what the search needs is large: its index and its worker are fetched when its field is first
// focused. Were the theme to fetch them in another way, this would do nothing, and they would come at once.
const searched = new Promise((resolve) => {
  addEventListener("focusin", ({ target }) => target.matches("[data-md-component=search-query]") && resolve())
})
const { open, send } = XMLHttpRequest.prototype
XMLHttpRequest.prototype.open = function (method, url) {
  if (String(url).endsWith("/search/search_index.json")) this.send = () => searched.then(() => send.call(this))
  open.apply(this, arguments)
}
const EagerWorker = Worker
window.Worker = class extends EventTarget {
  constructor(url) {
    super()
    this.worker = searched.then(() => {
      const worker = new EagerWorker(url)
      worker.onmessage = ({ data }) => this.dispatchEvent(new MessageEvent("message", { data }))
      return worker
    })
  }
  postMessage(message) {
    this.worker.then((worker) => worker.postMessage(message))
  }
}

// The theme searches when a key is let go; who pastes by mouse presses none.
addEventListener("input", ({ target }) => {
  if (target.matches("[data-md-component=search-query]")) target.dispatchEvent(new Event("keyup"))
})

// An error is pasted as it stands: its first line counts, and its quotation marks ask for no exact phrase.
addEventListener("paste", (event) => {
  if (!event.target.matches("[data-md-component=search-query]")) return
  event.preventDefault()
  const [line] = event.clipboardData.getData("text").trim().split("\n")
  document.execCommand("insertText", false, line.replaceAll('"', " "))
})

// What scrolls sideways can be focused, and so scrolled, by keyboard; what does not is no stop on the way.
const sideways = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const name = target.matches("div") ? "Table" : target.closest(".output") ? "Output" : "Code"
    const attributes = { tabindex: "0", role: "group", "aria-label": `${name}, scrolls sideways` }
    for (const [attribute, value] of Object.entries(attributes)) {
      if (target.scrollWidth > target.clientWidth) target.setAttribute(attribute, value)
      else target.removeAttribute(attribute)
    }
  }
})
addEventListener("load", () => {
  for (const box of document.querySelectorAll("pre > code, .md-typeset__scrollwrap")) sideways.observe(box)
  // The theme's marks in code have no name, and its copy buttons are a landmark each.
  for (const mark of document.querySelectorAll(".md-annotation__index")) mark.setAttribute("aria-label", "Annotation")
  for (const buttons of document.querySelectorAll(".md-code__nav")) buttons.setAttribute("role", "none")
})
