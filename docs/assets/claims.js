// The search over all claims. The data is fetched when it is first needed; without this script the topics stand there.
const form = document.querySelector(".claims__form")
const found = document.querySelector(".claims__found")
const status = form.querySelector("[role=status]")

let fetched
const load = () => (fetched ??= fetch("verdicts.json").then((answer) => answer.json()))

// A word is found where a word of the text begins with it: `grad` finds `nnx.grad`, `array` finds `arrays`.
const words = (text) => text.toLowerCase().match(/\w+/g) ?? []
const matchesText = (text, query) => {
  const known = words(text)
  return words(query).every((wanted) => known.some((word) => word.startsWith(wanted)))
}

const matches = (name, claim, topics, wanted) => {
  const { verdicts } = claim
  if (wanted.topic && wanted.topic !== claim.topic) return false
  if (wanted.text && !matchesText(`${name} ${claim.statement} ${topics[claim.topic]}`, wanted.text)) return false
  const among = wanted.release ? [verdicts[wanted.release]] : Object.values(verdicts)
  if (wanted.verdict && !among.includes(wanted.verdict)) return false
  return !(wanted.from && wanted.to) || verdicts[wanted.from] !== verdicts[wanted.to]
}

// Neighbouring releases with one verdict are told as one: "0.8.5 to 0.10.7 differs".
const spans = (verdicts) => {
  const runs = []
  for (const [release, verdict] of Object.entries(verdicts)) {
    const last = runs.at(-1)
    if (last?.verdict === verdict && !release.includes(" ")) last.to = release
    else runs.push({ from: release, to: release, verdict })
  }
  return runs.map(({ from, to, verdict }) => `${from === to ? from : `${from} to ${to}`} ${verdict}`)
}

const told = ({ verdicts, said }, { from, to, release }) => {
  const one = (name) => `${name} ${verdicts[name]}${said[name] ? `: ${said[name]}` : ""}`
  if (from && to) return [one(from), one(to)]
  return release ? [one(release)] : [spans(verdicts).join(" · ")]
}

const rich = (markdown) => {
  const shown = document.createElement("span")
  markdown.split("`").forEach((part, place) => {
    const piece = document.createElement(place % 2 ? "code" : "span")
    piece.textContent = part
    shown.append(piece)
  })
  return shown
}

const item = ([name, claim], wanted) => {
  const entry = document.createElement("li")
  const link = document.createElement("a")
  link.href = `${claim.topic}/#${name}`
  link.append(rich(claim.statement))
  entry.append(link)
  for (const line of told(claim, wanted)) {
    const happened = document.createElement("p")
    happened.append(rich(line))
    entry.append(happened)
  }
  return entry
}

const remember = (wanted) => {
  const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value)).toString()
  history.replaceState(null, "", `${location.pathname}${query && "?"}${query}${location.hash}`)
}

const show = async () => {
  const wanted = Object.fromEntries(new FormData(form))
  remember(wanted)
  const asked = Object.values(wanted).some(Boolean)
  const { claims, topics } = asked ? await load() : { claims: {}, topics: {} }
  if (JSON.stringify(Object.fromEntries(new FormData(form))) !== JSON.stringify(wanted)) return // a newer choice
  const chosen = Object.entries(claims).filter(([name, claim]) => matches(name, claim, topics, wanted))
  const list = document.createElement("ol")
  list.append(...chosen.map((entry) => item(entry, wanted)))
  found.replaceChildren(...(chosen.length ? [list] : []))
  const half = Boolean(wanted.from) !== Boolean(wanted.to)
  const compared = wanted.from && wanted.to ? ` changed from ${wanted.from} to ${wanted.to}` : ""
  status.textContent = half ? "Choose the other release too." : asked ? `${chosen.length} claims${compared}` : ""
}

// Each claim once stood on this page: its address leads on to the page of its topic.
const lead = async () => {
  const name = decodeURIComponent(location.hash.slice(1))
  if (!name || document.getElementById(name)) return
  const { claims, retired } = await load()
  const today = retired[name] ?? name
  if (claims[today]) location.replace(`${claims[today].topic}/#${today}`)
}

for (const [name, value] of new URLSearchParams(location.search)) if (form.elements[name]) form.elements[name].value = value
form.addEventListener("focusin", load)
form.addEventListener("input", show)
form.addEventListener("submit", (event) => event.preventDefault())
form.addEventListener("reset", () => setTimeout(show))
addEventListener("hashchange", lead)
lead()
show()
