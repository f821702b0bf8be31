// What the site adds to the search of the theme: what is searched, what is asked for, and what comes first. The theme's
// Lunr finds the words and marks them. This is fetched when the search is first used.

// Words that ask, and that say nothing of what is asked for.
const ASKING = new Set(
  `a about an and are as at be by between can could did differ difference do does doing flax for from get give gives go goes going got had happen happens has have how i if in
  into is it its just let made make makes me mean means mine my new nnx of on one only or out over please should so some tell that the
  their them then there these they this to want was way were what when where which who why will with would you your`.split(/\s+/),
)

// The beginning of a word that its other forms share.
const stemOf = (word) => {
  const stem = word.length > 4 ? word.replace(/(?:ing|ed|es|s|e)$/, "") : word
  return stem.length > 2 ? stem : word
}

// One thing has many names: each line lists words that stand for one another.
const ALIKE = `
freeze frozen
duplicate copy copies clone
checkpoint save saving restore
gpu device tpu
down move moving
exercise practice
several many multiple
slow cost overhead
recompile retrace compile
seed random rng rngs
ema average
loop scan
buffer variable
torch pytorch
weight param
evaluate eval
cache decode
initialization init
tied tie untied
nan nans
`
  .trim()
  .split("\n")
  .map((line) => line.split(" ").map(stemOf))

// What a page is worth to who asks in words, and to who asks for a name: a lesson explains it, a claim takes it for known.
const KINDS = [
  ["lessons/", 1, 1.6],
  ["pitfalls/#", 0.6, 0.5],
  ["pitfalls/", 1, 0.8],
  ["coming-from/", 0.9, 0.9],
  ["upgrading/", 0.8, 0.9],
  ["claims/", 0.75, 0.35],
  ["notebooks/", 0.5, 0.5],
  ["cheat-sheet/", 0.55, 0.5],
  ["reference/", 0.4, 0.5],
  ["exercises/", 0.45, 0.45],
]

// What to read first on something that other pages mention more often, a page or a section of it, by the words that tell.
const EXPLAINED = {
  "lessons/multi-param/": ["nnx.Param", "nnx.Variable", "Param", "Variable"],
  "lessons/linear/": ["nnx.Linear"],
  "lessons/homes/": ["nnx.Module"],
  "lessons/counters/": ["count steps", "count calls", "step counter"],
  "lessons/counters/#a-buffer-that-the-forward-pass-writes": ["buffer"],
  "lessons/filters/": ["nnx.All", "nnx.pop", "nnx.OfType", "nnx.PathContains", "PathContains", "select parameters name"],
  "lessons/split-merge/": ["nnx.split", "nnx.update", "nnx.State", "nnx.clone", "nnx.as_pure", "copy model"],
  "lessons/gradients/": ["nnx.grad", "nnx.value_and_grad", "value_and_grad"],
  "lessons/training/": ["optimizer.update", "optax.adamw", "nnx.Optimizer"],
  "lessons/optimizer-state/": ["moments Adam"],
  "lessons/optimizer-state/#a-rate-that-changes-without-a-new-trace": ["learning rate", "change learning rate", "learning rate schedule", "schedule"],
  "lessons/optimizer-state/#decay-for-kernels-alone": ["weight decay", "decay"],
  "lessons/optimizer-state/#one-update-for-several-batches": ["gradient accumulation", "accumulate gradients", "MultiSteps"],
  "lessons/training/#a-rule-for-each-group": ["learning rate group", "another learning rate each group", "parameter groups"],
  "lessons/precision/#a-trained-model-in-fewer-bits": ["quantize", "quantize model", "quantization", "int8"],
  "lessons/transforms/": ["nnx.jit", "jax.jit", "nnx.cond"],
  "lessons/transforms/#the-step-compiles-at-every-call": ["recompilation", "recompile"],
  "lessons/transforms/#control-flow-from-jaxlax": ["while loop", "control flow", "if else"],
  "lessons/transforms/#an-argument-of-jaxgrad-may-not-be-written": ["jax.grad", "jax.grad batch norm", "jax.grad BatchNorm"],
  "lessons/memory/": ["nnx.remat", "remat", "memory", "memory usage", "out of memory"],
  "lessons/memory/#memory-for-every-array": ["bytes Adam", "many bytes Adam take"],
  "lessons/memory/#what-a-step-keeps": ["activations memory", "residuals"],
  "lessons/cost/#dispatch-grows-with-the-number-of-variables": ["overhead", "jit overhead", "dispatch"],
  "lessons/caches/": ["nnx.MultiHeadAttention"],
  "pitfalls/layers/": ["nnx.initializers"],
  "lessons/layer-state/": ["nnx.LayerNorm", "nnx.GroupNorm", "nnx.Embed"],
  "lessons/caches/#what-a-cache-keeps": ["cache", "kv cache"],
  "lessons/batch-stats/#what-moves-the-averages": ["running average", "running averages", "running mean"],
  "lessons/batch-stats/": ["nnx.view", "nnx.BatchStat", "nnx.BatchNorm", "BatchNorm", "batchnorm", "model.eval", "model.train", "eval mode"],
  "lessons/sharding/": ["shard model"],
  "lessons/processes/": ["jax.distributed", "jax.distributed.initialize", "multi host", "several hosts", "several machines", "processes"],
  "lessons/multi-param/#a-value-without-a-wrapper": ["plain array is not saved"],
  "lessons/own-types/": ["nnx.variablelib", "exponential moving average", "exponential moving average weights", "EMA"],
  "lessons/own-types/#notes-on-one-variable": ["metadata", "metadata Variable"],
  "lessons/own-types/#a-type-that-maps-its-value": ["softplus", "softplus parameter", "constraint", "positive parameter"],
  "lessons/containers/": ["nnx.static"],
  "lessons/containers/#a-layer-that-nobody-trains": ["list layers", "layers list"],
  "lessons/containers/#what-is-data-and-what-is-static": ["static", "static attribute"],
  "lessons/linear/#the-scale-of-the-kernel": ["initialization", "weight initialization", "initializer", "weight init"],
  "lessons/randomness/": ["nnx.Dropout", "Dropout", "nnx.RngStream", "nnx.reseed"],
  "lessons/vmap-scan/": ["nnx.vmap", "vmap", "ensemble", "ensemble models"],
  "lessons/scan/": ["nnx.scan", "scan", "scan layers"],
  "lessons/freezing/": ["nnx.LoRA", "nnx.LoRAParam", "LoRA", "LoRA fine tuning"],
  "lessons/freezing/#one-filter-in-two-places": ["freeze", "freeze layer", "freeze parameters"],
  "lessons/freezing/#a-small-change-beside-a-frozen-layer": ["adapter"],
  "lessons/checkpoints/": ["resume training"],
  "lessons/checkpoints/#all-state-and-the-place-in-the-data": ["save checkpoint", "save load checkpoint"],
  "lessons/checkpoints/#a-pattern-without-numbers": ["abstract", "abstract model"],
  "pitfalls/silent-transforms/#checkpoint-loses-counts": ["gradient checkpointing", "rematerialization"],
  "upgrading/": ["nnx.set_graph_mode", "nnx.set_graph_updates", "nnx.to_flat_state"],
  "upgrading/#what-is-coming-tree-mode": ["tree mode", "graph mode"],
  "pitfalls/releases/#variable-state": ["nnx.VariableState"],
  "pitfalls/releases/#sow": ["nnx.capture"],
  "coming-from/pytorch/": ["state_dict", "register_buffer"],
  "coming-from/linen/": ["self.variable", "self.param"],
  "exercises/": ["attempt checked"],
}

const kind = (path, isName) => {
  const [, ofAnything, ofName] = KINDS.find(([start]) => `${path}#`.startsWith(start)) ?? ["", 0.8, 0.4]
  return isName ? ofName : ofAnything
}
const escaped = (text) => text.replace(/[&<>]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[sign])
const bare = (html) =>
  html
    .replace(/<[^>]*>/g, " ")
    .replace(/&lt;/g, "<")
    .replace(/&gt;/g, ">")
    .replace(/&amp;/g, "&")
    .replace(/\s+/g, " ")

// A notebook brings the words of its copy buttons, and each cell a second time for them.
const withoutButtons = (text) => text.replace(/Copied!\s*/g, "").replace(/<\/pre>[^<]+/g, "</pre>")

// Return the sections of all pages and the claims, each claim as a section of its topic.
export const searched = (docs, { claims, topics }) => {
  const pages = docs
    .filter(({ location }) => !location.endsWith("/#next"))
    .map(({ tags, ...doc }) => {
      if (doc.location.startsWith("notebooks/")) return { ...doc, text: withoutButtons(doc.text) }
      if (!tags || doc.location.includes("#")) return doc
      return { ...doc, question: tags[0], text: `<p>${escaped(tags[0])}</p>${doc.text}` }
    })
  for (const [topic, title] of Object.entries(topics)) {
    const own = Object.entries(claims).filter(([, claim]) => claim.topic === topic)
    if (own.length) pages.push({ location: `claims/${topic}/`, title: `Claims: ${escaped(title)}`, text: "" })
    for (const [name, { statement, verdicts }] of own) {
      const [release, verdict] = Object.entries(verdicts).filter(([one]) => !one.includes(" ")).at(-1) ?? []
      const text = release ? `<p>Flax ${release}: ${verdict}</p>` : ""
      pages.push({ location: `claims/${topic}/#${name}`, title: code(statement), text })
    }
  }
  return pages
}

const code = (statement) => escaped(statement).replace(/`([^`]*)`/g, "<code>$1</code>")

// What is asked for in one word: the beginnings that Lunr looks for, and how the word is found in a text.
const meant = (word) => {
  if (word.startsWith("nnx.")) return { word, words: word.slice(4).split("."), found: new RegExp(`(?<!\\w)${word.replaceAll(".", "\\.")}(?!\\w)`, "g") }
  if (/[_\d]|[a-z][A-Z]/.test(word)) {
    const name = word.replaceAll(".", "\\.")
    return { word, words: [word], found: new RegExp(`(?<![A-Za-z0-9])${name}(?!\\w)`, "gi") }
  }
  const own = stemOf(word.toLowerCase())
  const words = ALIKE.find((line) => line.some((one) => own.startsWith(one))) ?? [own]
  return { word, words, found: new RegExp(`(?<![A-Za-z0-9])(?:${words.join("|")})`, "gi") }
}

// Return what is asked for, word by word, without those that only ask.
export const asked = (query) => {
  const words = [...new Set(query.match(/\bnnx(?:\.\w+)+|\d+(?:\.\d+)+|\w+/g) ?? [])]
  const counting = words.filter((word) => !ASKING.has(word.toLowerCase()))
  return (counting.length ? counting : words).map(meant)
}

// Return a query as the theme's worker takes it.
export const written = (query) =>
  asked(query)
    .flatMap(({ words }) => words)
    .join(" ")

// Return what is the same for all ways to ask for one thing.
const sense = (query) =>
  asked(query)
    .map(({ word, words }) => (word.startsWith("nnx.") ? word : words[0].toLowerCase()))
    .sort()
    .join(" ")
const FIRST = new Map(Object.entries(EXPLAINED).flatMap(([page, all]) => all.map((one) => [sense(one), page])))
// The name of a call without what is handed to it; an attribute that was read is asked for alone.
const called = (query) => query.trim().replace(/^`|`$/g, "").replace(/^([\w.]+)\(.*$/, "$1")

// Rates what was found by where the words stand: in a heading, in the title or the question of the page, in the text.
export class Ranking {
  constructor(docs) {
    const tops = new Map(docs.filter(({ location }) => !location.includes("#")).map((doc) => [doc.location, doc]))
    this.texts = new Map(
      docs.map(({ location, title, text }) => {
        const top = tops.get(location.split("#")[0])
        const page = top ? bare(`${top.title} ${top.question ?? ""}`) : ""
        return [location, { title: bare(title), page, text: bare(text) }]
      }),
    )
  }

  // Return how often each word stands in each part of a section.
  counts(location, groups) {
    const { title, page, text } = this.texts.get(location)
    return groups.map(({ found }) => [title, page, text].map((part) => part.match(found)?.length ?? 0))
  }

  // Return how much each word tells, which is more the fewer sections have it.
  telling(counted, groups) {
    const all = [...counted.values()]
    return groups.map((_, place) => {
      const times = all.filter((counts) => counts[place][0] || counts[place][2]).length
      return Math.log(1 + this.texts.size / (1 + times))
    })
  }

  worth(location, counts, tells, phrase) {
    const { title, page, text } = this.texts.get(location)
    let [sum, met, all] = [0, 0, 0]
    counts.forEach(([inTitle, inPage, inText], place) => {
      const tell = tells[place]
      sum += tell * (inTitle ? 5 / Math.sqrt(2 + words(title)) : 0)
      sum += tell * (inPage ? 4 / Math.sqrt(3 + words(page)) : 0)
      sum += (tell * inText) / (inText + 0.6 + text.length / 1500)
      met += tell * (inTitle || inText ? 1 : inPage ? 0.8 : 0)
      all += tell
    })
    const has = (where) => phrase.includes(" ") && where.toLowerCase().includes(phrase)
    const whole = has(title) ? 2.5 : has(text) ? 0.6 : 0
    const aside = ASIDE.has(title.trim()) && !/tree|mode|mistake/.test(phrase) ? 0.5 : 1
    return sum * (met / all) ** 2 * (1 + whole) * aside
  }

  // Return the pages that were found with their sections, in the order in which they answer.
  ordered(items, query) {
    const groups = asked(query).slice(0, LONGEST)
    if (!groups.length) return items
    const phrase = query.trim().replace(/\s+/g, " ").replace(/[?.!]+$/, "").toLowerCase()
    const isName = !/\s/.test(called(query))
    const slug = phrase.replace(/\W+/g, "-")
    const first = /\.value\W*$/.test(query) ? "upgrading/" : FIRST.get(sense(called(query)))
    const counted = new Map(items.flat().map(({ location }) => [location, this.counts(location, groups)]))
    const tells = this.telling(counted, groups)
    const pages = items.map((sections) => {
      const [path] = sections[0].location.split("#")
      const weight = kind(path, isName)
      const rated = sections.map((section) => {
        const counts = counted.get(section.location)
        const terms = Object.fromEntries(groups.map(({ word }, place) => [word, counts[place].some(Boolean)]))
        const score = weight * this.worth(section.location, counts, tells, phrase)
        return { ...section, terms, score: section.location === first ? score + ABOVE_ALL : score }
      })
      rated.sort((a, b) => b.score - a.score)
      let score = rated[0].score
      if (ofOneThing(path)) {
        const often = tells.map((tell, place) => {
          const times = sections.reduce((sum, { location }) => {
            const [inTitle, , inText] = counted.get(location)[place]
            return sum + inTitle + inText
          }, 0)
          return (tell * times) / (times + 4)
        })
        score += weight * (isName ? 1 : 0.5) * often.reduce((sum, one) => sum + one, 0)
      }
      if (path === first || path === `${slug}/`) score += ABOVE_ALL
      return { rated, score: path.endsWith(`/${slug}/`) ? 3 * score : score }
    })
    return pages.sort((a, b) => b.score - a.score).map(({ rated }) => rated)
  }
}

const ABOVE_ALL = 1000
const LONGEST = 16 // words of an error that are looked at: what follows differs from one to the next
const ASIDE = new Set(["In tree mode", "Mistakes that the check names"])
const ofOneThing = (path) => !/^(pitfalls|claims|upgrading|cheat-sheet)[/]/.test(path)
const words = (text) => text.split(" ").length

// Says what an error is, above what its words find: one that was pasted, or that is typed with the name of its class.
export class Explanation {
  constructor(explained) {
    this.explained = explained
    this.status = document.createElement("div")
    this.status.className = "answers__told answers__told--search md-typeset"
    this.status.setAttribute("role", "status")
    document.querySelector(".md-search-result__list").before(this.status)
  }

  show(text) {
    const { isKnown, elements } = ERROR.test(text) ? this.explained(text) : { elements: [] }
    this.status.replaceChildren(...elements)
    // The theme moves from link to link by arrow keys, and Enter opens the one in which the highest score stands.
    for (const [place, link] of this.status.querySelectorAll("a").entries()) {
      link.tabIndex = -1
      link.firstElementChild.dataset.mdScore = isKnown && !place ? Number.MAX_VALUE : 0
    }
  }
}
const ERROR = /\n|(?:Error|Exception|Warning): /
