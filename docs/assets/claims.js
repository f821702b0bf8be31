// Filters and a comparison for the table of claims. Without this script the whole table stands there.
const region = document.querySelector(".claims")
const table = region.querySelector("table")
const releases = [...table.tHead.rows[0].cells].slice(1).map((cell) => cell.textContent)
const bodies = [...table.tBodies].map((body) => ({ body, title: body.rows[0], rows: [...body.rows].slice(1) }))
const verdictOf = (row, release) => row.cells[releases.indexOf(release) + 1].querySelector("b").textContent
const verdicts = ["holds", "differs", "not applicable", "crashed"]

const form = document.createElement("form")
form.className = "claims__form"
const field = (name, title, control) =>
  `<div><label for="claims-${name}">${title}</label>${control.replace(">", ` id="claims-${name}" name="${name}">`)}</div>`
const choice = (name, title, all) => field(name, title, `<select><option value="">${all}</option></select>`)
form.innerHTML = `
  ${field("text", "Search the claims", '<input type="search">')}
  ${choice("topic", "Topic", "all")}
  ${choice("verdict", "Verdict", "any")}
  ${choice("release", "On release", "any")}
  <div class="claims__pair">${choice("from", "Changed from", "–")}${choice("to", "to", "–")}</div>
  <button type="reset" class="md-button">Show all</button>
  <p role="status"></p>`
const fill = (name, values, texts = values) =>
  values.forEach((value, place) => form.elements[name].add(new Option(texts[place], value)))
fill("topic", bodies.map(({ body }) => body.dataset.topic), bodies.map(({ title }) => title.textContent))
fill("verdict", verdicts)
for (const name of ["release", "from", "to"]) fill(name, releases)
region.before(form)

const matches = (row, topic, wanted) => {
  if (wanted.topic && wanted.topic !== topic) return false
  if (wanted.text && !row.textContent.toLowerCase().includes(wanted.text.toLowerCase())) return false
  const among = wanted.release ? [wanted.release] : releases
  if (wanted.verdict && !among.some((release) => verdictOf(row, release) === wanted.verdict)) return false
  return !(wanted.from && wanted.to) || verdictOf(row, wanted.from) !== verdictOf(row, wanted.to)
}

const show = () => {
  const wanted = Object.fromEntries(new FormData(form))
  const columns = wanted.from && wanted.to ? [wanted.from, wanted.to] : wanted.release ? [wanted.release] : releases
  let count = 0
  for (const { body, title, rows } of bodies) {
    for (const row of rows) {
      row.hidden = !matches(row, body.dataset.topic, wanted)
      count += !row.hidden
    }
    body.hidden = rows.every((row) => row.hidden)
    title.cells[0].colSpan = columns.length + 1
  }
  for (const row of table.rows)
    if (row.cells.length > 1)
      releases.forEach((release, place) => (row.cells[place + 1].hidden = !columns.includes(release)))
  const compared = wanted.from && wanted.to ? ` changed from ${wanted.from} to ${wanted.to}` : ""
  form.querySelector("[role=status]").textContent = `${count} claims${compared}`
  const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value)).toString()
  history.replaceState(null, "", `${location.pathname}${query && "?"}${query}${location.hash}`)
}

for (const [name, value] of new URLSearchParams(location.search)) if (form.elements[name]) form.elements[name].value = value
form.addEventListener("input", show)
form.addEventListener("submit", (event) => event.preventDefault())
form.addEventListener("reset", () => setTimeout(show))
show()
