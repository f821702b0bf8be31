// Few readers search, and what the search needs is large: its index, its worker and what the site adds to both are fetched
// when its field is first focused. Were the theme to fetch its own in another way, this would do nothing.
const searched = new Promise((resolve) => {
  addEventListener("focusin", ({ target }) => target.matches("[data-md-component=search-query]") && resolve())
})
const { open, send } = XMLHttpRequest.prototype
XMLHttpRequest.prototype.open = function (method, url) {
  if (String(url).endsWith("/search/search_index.json")) this.send = () => searched.then(() => send.call(this))
  open.apply(this, arguments)
}
const ownAddress = document.currentScript.src
const EagerWorker = Worker
window.Worker = class extends EventTarget {
  constructor(url) {
    super()
    this.queries = [] // those that have no answer yet; the theme's worker answers in their order
    this.ready = searched.then(async () => {
      const worker = new EagerWorker(url)
      worker.onmessage = ({ data }) => this.answer(data)
      const claims = fetch(new URL("../claims/verdicts.json", ownAddress)).then((answer) => answer.json())
      const explainer = import(new URL("told.js", ownAddress)).then((told) => told.explainer())
      const tuning = await import(new URL("search.js", ownAddress))
      this.explanation = new tuning.Explanation(await explainer.catch(() => () => ({ elements: [] }))) // none is given then
      return { worker, tuning, claims: await claims.catch(() => ({ claims: {}, topics: {} })) } // the pages without them
    })
  }
  async postMessage({ type, data }) {
    const { worker, tuning, claims } = await this.ready
    if (type === SETUP) {
      const docs = tuning.searched(data.docs, claims)
      this.ranking = new tuning.Ranking(docs)
      worker.postMessage({ type, data: { ...data, docs } })
    } else {
      this.queries.push(data)
      worker.postMessage({ type, data: tuning.written(data) })
    }
  }
  answer(message) {
    if (message.type === RESULT) {
      const query = this.queries.shift()
      message.data.items = this.ranking.ordered(message.data.items, query)
      this.explanation.show(query === pasted.line ? pasted.text : query)
    }
    this.dispatchEvent(new MessageEvent("message", { data: message }))
  }
}
const [SETUP, RESULT] = [0, 3] // kinds of messages, as the theme numbers them; it asks with 2

// The theme searches when a key is let go; who pastes by mouse presses none.
addEventListener("input", ({ target }) => {
  if (target.matches("[data-md-component=search-query]")) target.dispatchEvent(new Event("keyup"))
})

// An error is pasted as it stands, and all of it is explained. What is searched is the line of the exception from the
// name of its class on, or else the first line; its quotation marks ask for no exact phrase.
let pasted = {}
const exception = (line) => {
  const end = line.search(/(?:Error|Exception|Warning): /)
  return end < 0 ? "" : line.slice(Math.max(0, end - NAME), end).match(/[\w.]*$/)[0] + line.slice(end)
}
addEventListener("paste", (event) => {
  if (!event.target.matches("[data-md-component=search-query]")) return
  event.preventDefault()
  const text = event.clipboardData.getData("text").trim()
  const lines = text.split("\n")
  const line = lines.map(exception).findLast(Boolean) ?? lines[0]
  pasted = { line: line.slice(0, LINE).replaceAll('"', " "), text }
  document.execCommand("insertText", false, pasted.line)
})
const [NAME, LINE] = [100, 500] // characters of the name of a class, and of a line, at most

// A section that has moved leaves its name to a link that leads to where it is now: its old address follows that link.
const follow = () => {
  const left = document.getElementById(decodeURIComponent(location.hash.slice(1)))
  if (left?.matches("a[href]")) location.replace(left.href)
}
follow()
addEventListener("hashchange", follow)

// The theme's marks in code have no name.
addEventListener("load", () => {
  for (const mark of document.querySelectorAll(".md-annotation__index")) mark.setAttribute("aria-label", "Annotation")
})
