// The search over all claims. The data is fetched when it is first needed; without this script the topics stand there.
const form = document.querySelector(".claims__form")
const found = document.querySelector(".claims__found")
const status = found.querySelector("[role=status]")

let fetched
const load = () => (fetched ??= fetch("verdicts.json").then((answer) => answer.json()))

// A word is found where a word of the text begins with it, or differs in its ending alone: `grad` finds `nnx.grad`,
// `saves` finds `saved`.
const words = (text) => text.toLowerCase().match(/\w+/g) ?? []
const stem = (word) => word.replace(/s$/, "").replace(/(?:ed|ing|e)$/, "")
const matchesText = (text, query) => {
  const known = words(text)
  const isIn = (wanted) => known.some((word) => word.startsWith(wanted) || stem(word) === stem(wanted))
  return words(query).every(isIn)
}

// What a change means for a program, the worst first; `consequences.py` says the same of the tables.
const KINDS = [
  "raises now",
  "warns now",
  "silently different",
  "another error",
  "raises no longer",
  "warns no longer",
  "works now",
  "new",
  "gone",
]
const outcome = ({ verdicts, outcomes }, release) => {
  if (verdicts[release] === "crashed" || !verdicts[release]) return "unknown"
  return verdicts[release] === "not applicable" ? "absent" : (outcomes[release] ?? "quiet")
}
const consequence = (claim, from, to) => {
  const { verdicts, said } = claim
  const [before, after] = [outcome(claim, from), outcome(claim, to)]
  const same = verdicts[from] === verdicts[to] && said[from] === said[to]
  if (same || before === "unknown" || after === "unknown") return ""
  if (before === "absent") return after === "absent" ? "" : "new"
  if (after === "absent") return "gone"
  if (after === "raises") return before === "raises" ? "another error" : "raises now"
  if (after === "warns") return before === "warns" ? "silently different" : "warns now"
  if (before === "raises") return verdicts[to] === "holds" ? "works now" : "raises no longer"
  return before === "warns" ? "warns no longer" : "silently different"
}

const matches = (name, claim, topics, wanted) => {
  const { verdicts } = claim
  if (wanted.topic && wanted.topic !== claim.topic) return false
  if (wanted.text && !matchesText(`${name} ${claim.statement} ${topics[claim.topic]}`, wanted.text)) return false
  const among = wanted.release ? [verdicts[wanted.release]] : Object.values(verdicts)
  if (wanted.verdict && !among.includes(wanted.verdict)) return false
  return !(wanted.from && wanted.to) || Boolean(consequence(claim, wanted.from, wanted.to))
}

// Neighbouring releases with one verdict are told as one: "0.8.5 to 0.10.7 differs".
const spans = (verdicts) => {
  const runs = []
  for (const [release, verdict] of Object.entries(verdicts)) {
    const last = runs.at(-1)
    if (last?.verdict === verdict && !release.includes(" ")) last.to = release
    else runs.push({ from: release, to: release, verdict })
  }
  return runs.reverse().map(({ from, to, verdict }) => `${from === to ? from : `${from} to ${to}`} ${verdict}`)
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

const element = (name, ...children) => {
  const made = document.createElement(name)
  made.append(...children)
  return made
}
const link = (address, ...children) => Object.assign(element("a", ...children), { href: address })

// What to write is the fix of the pitfall that is met there, or what the page of the claim shows.
const remedy = (claim, release, fixes) => {
  const pitfall = claim.pitfalls[release]
  if (pitfall) return element("p", element("b", "Write "), rich(fixes[pitfall]), " ", link(`../pitfalls/#${pitfall}`, "Pitfalls"))
  const shown = release.includes(" ") ? "upgrading/#what-is-coming-tree-mode" : claim.lesson
  return element("p", element("b", "Write"), " as ", link(`../${shown}`, "its page"), " shows.")
}

const item = ([name, claim], wanted, fixes) => {
  const { from, to } = wanted
  const pair = from && to ? `?${new URLSearchParams({ from, to })}` : ""
  const entry = element("li", link(`${claim.topic}/${pair}#${name}`, rich(claim.statement)))
  for (const line of told(claim, wanted)) entry.append(element("p", rich(line)))
  if (pair && KINDS.indexOf(consequence(claim, from, to)) < 4) entry.append(remedy(claim, to, fixes))
  return entry
}

// The claims by what they mean, where two releases are compared; as one list where they are not.
const lists = (chosen, wanted, fixes) => {
  const list = (entries) => element("ol", ...entries.map((entry) => item(entry, wanted, fixes)))
  if (!(wanted.from && wanted.to)) return chosen.length ? [list(chosen)] : []
  return KINDS.flatMap((kind) => {
    const meant = chosen.filter(([, claim]) => consequence(claim, wanted.from, wanted.to) === kind)
    return meant.length ? [element("h3", `${kind[0].toUpperCase()}${kind.slice(1)}: ${meant.length}`), list(meant)] : []
  })
}

const remember = (wanted) => {
  const query = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value)).toString()
  history.replaceState(null, "", `${location.pathname}${query && "?"}${query}${location.hash}`)
}

const show = async () => {
  const wanted = Object.fromEntries(new FormData(form))
  remember(wanted)
  const half = Boolean(wanted.from) !== Boolean(wanted.to)
  const asked = Object.values(wanted).some(Boolean) && !half
  document.documentElement.classList.toggle("asked", asked)
  const { claims, topics, pitfalls } = asked ? await load() : { claims: {}, topics: {} }
  if (JSON.stringify(Object.fromEntries(new FormData(form))) !== JSON.stringify(wanted)) return // a newer choice
  const chosen = Object.entries(claims).filter(([name, claim]) => matches(name, claim, topics, wanted))
  const missing = wanted.from ? "to" : "Changed from"
  const compared = wanted.from && wanted.to ? ` changed from ${wanted.from} to ${wanted.to}` : ""
  if (half) status.textContent = `Choose a release under “${missing}” as well: a change is one from a release to another.`
  else status.textContent = asked ? `${chosen.length} claim${chosen.length === 1 ? "" : "s"}${compared}` : ""
  const others = compared ? [link("#find-a-claim", "Choose other releases")] : []
  found.replaceChildren(status, ...others, ...lists(chosen, wanted, pitfalls))
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
