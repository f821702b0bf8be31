// What a paste is: this entry, one of these causes, or nothing that the site knows. It says what nnx_state.answers says
// in Python, module by module and function by function; one corpus of pastes runs through both.

// texts.py
const LONGEST = 1_000_000
const SHARED = 4
const COLOURS = /\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b?\[[0-9;]{0,16}m|\x1b\[[0-9;?]{0,16}[A-Za-z]/g
const DROPPED = /[ \t\n\r\f\v\u00a0\u200b'"`‘’“”]+/g

const clean = (pasted) => {
  const { length } = pasted
  const kept = length > LONGEST ? `${pasted.slice(0, LONGEST / 5)}\n${pasted.slice(length - (LONGEST * 4) / 5)}` : pasted
  return kept.replaceAll("\r\n", "\n").replaceAll("\r", "\n").replace(COLOURS, "")
}
const squeezed = (text) => text.replace(DROPPED, "")
const sum = (numbers) => numbers.reduce((one, other) => one + other, 0)

const stripEnd = (text, of) => {
  let end = text.length
  while (end > 0 && of.includes(text[end - 1])) end--
  return text.slice(0, end)
}
const strip = (text, of) => {
  let start = 0
  while (start < text.length && of.includes(text[start])) start++
  return stripEnd(text.slice(start), of)
}
// Python counts characters where JavaScript counts halves of some.
const shortened = (text, count) => [...text.slice(0, 2 * count)].slice(0, count).join("")

const template = (text) => {
  const colon = text.includes(":") ? text.indexOf(":") : text.length
  const parts = squeezed(text.slice(colon + 1)).split("…")
  return { name: text.slice(0, colon).trim(), parts, weight: sum(parts.map((part) => part.length)) }
}
const isOf = ({ name }, given) => (name.startsWith("…") ? given.endsWith(name.slice(1)) : given === name)

const overlap = (text, part) => {
  for (let size = Math.min(text.length, part.length - 1); size > 0; size--) {
    if (text.endsWith(part.slice(0, size))) return size
  }
  return 0
}
const reached = ({ parts }, message, elided = false) => {
  let [place, count] = [0, 0]
  for (const [number, part] of parts.entries()) {
    const found = number ? message.indexOf(part, place) : message.startsWith(part) ? 0 : -1
    if (found < 0) {
      const rest = message.slice(place)
      if (number) {
        const common = overlap(rest, part)
        return common >= SHARED || elided ? count + common : 0
      }
      return part.startsWith(rest) ? rest.length : 0
    }
    place = found + part.length
    count += part.length
  }
  return null
}
const standsIn = (parts, text) => {
  let place = 0
  return parts.every((part) => {
    const found = text.indexOf(part, place)
    place = found + part.length
    return found >= 0
  })
}
const fits = (one, message) => reached(one, message) === null
const fitsAsFarAs = (one, message, elided) => reached(one, message, elided) ?? one.weight

// pastes.py
const MARKS = ["Error", "Exception", "Warning"]
const [FIRST, LAST] = [50, 150]
const [MESSAGE, FRAMES, AFTER, LINES, PREFIX, SHOWN] = [3000, 20_000, 400, 40, 200, 300]
const NAME = /[A-Za-z0-9_.]{1,200}$/
const BOUNDARY =
  /^(?:Traceback \(most recent|During handling of|The above exception|The stack trace below|The preceding |[A-Za-z0-9_.]{0,200}(?:Error|Exception|Warning): )/
const TRACEBACK = "Traceback (most recent"

const places = (text, mark) => {
  const found = new Set()
  for (let place = text.indexOf(mark); place >= 0 && found.size < FIRST; place = text.indexOf(mark, place + 1)) {
    found.add(place)
  }
  const last = []
  let before = text.length
  while (last.length < LAST && before >= mark.length) {
    const place = text.lastIndexOf(mark, before - mark.length)
    if (place < 0) break
    last.push(place)
    before = place
  }
  return new Set([...found, ...last])
}

const isMarked = (text, start) => {
  const before = text.slice(Math.max(0, start - PREFIX), start)
  const mark = stripEnd(before, " ")
  return mark !== before && (mark === "E" || mark.endsWith("\nE") || mark.endsWith(" E"))
}
const heads = (text) => {
  const found = new Map()
  for (const mark of MARKS) {
    for (const place of places(text, mark)) {
      const end = place + mark.length
      const follows = text.slice(end, end + 2)
      if (follows && !":\n".includes(follows[0]) && !["('", '("'].includes(follows)) continue
      const name = NAME.exec(text.slice(Math.max(0, end - 200), end))
      const start = name ? end - name[0].length : place
      const before = text.slice(Math.max(0, start - 7), start)
      if (!before.endsWith("except ") && !before.endsWith("raise ")) found.set(end, start)
    }
  }
  const last = Math.max(0, ...[...found].filter(([, start]) => isMarked(text, start)).map(([end]) => end))
  return [...found]
    .filter(([end, start]) => end >= last || isMarked(text, start) || text.slice(start, end).endsWith("Warning"))
    .map(([end, start]) => [start, end])
    .sort((one, other) => one[1] - other[1])
}

const without = (prefix, line) => {
  const shape = stripEnd(prefix, " ")
  const zeros = (text) => text.replace(/[0-9]/g, "0")
  const isLike = shape && shape.length <= PREFIX
  return isLike && zeros(line.slice(0, shape.length)) === zeros(shape) ? line.slice(shape.length) : line
}

const raisedAt = (text, before, start, end, finish) => {
  const line = text.lastIndexOf("\n", start - 1) + 1
  const prefix = text.slice(start ? line : 0, start)
  const [behind, ...others] = text.slice(end, end + MESSAGE).split("\n").slice(0, LINES)
  const first = behind.replace(/^:/, "").replace(/^\(/, "")
  const message = [first]
  let length = first.length
  for (const other of others) {
    const rest = without(prefix, other)
    if (BOUNDARY.test(strip(rest, " "))) break
    message.push(rest)
    length += other.length + 1
  }
  const after = text.slice(end + length, end + length + AFTER)
  const surroundings = text.slice(Math.max(before, start - FRAMES), end + length) + after.split(TRACEBACK)[0]
  const full = text.slice(start, end)
  const name = full.slice(full.lastIndexOf(".") + 1)
  return {
    name,
    shown: shortened(`${full}: ${strip(first, " ")}`, SHOWN),
    message: squeezed(message.join("")),
    first: squeezed(first),
    around: squeezed(surroundings),
    isLast: end + length >= finish,
    isWarning: name.endsWith("Warning"),
  }
}

const raised = (text) => {
  let before = 0
  const finish = stripEnd(text, " \n").length
  return heads(text).map(([start, end]) => {
    const one = raisedAt(text, before, start, end, finish)
    before = end
    return one
  })
}

// entries.py
const isTold = ({ told }, around) => told.every((group) => group.some((text) => around.includes(text)))
export const parsed = ({ entries, phrases }) => {
  const told = ({ told = [] }) => told.map((group) => group.map(squeezed))
  const listed = entries.map(({ texts = [], causes = [], question = "", ...entry }) => ({
    ...entry,
    question,
    told: told(entry),
    templates: texts.map(template),
    causes: causes.map((cause) => ({ ...cause, told: told(cause) })),
  }))
  return { listed, phrases, byAnchor: new Map(listed.map((entry) => [entry.anchor, entry])) }
}

// words.py
const [SURE, POSSIBLE, ASKED] = [0.5, 0.3, 400]
const ENDINGS = ["ing", "ed", "es", "s", "e"]
const COMMON = new Set(
  "a an and are at be by for from i in is it its me my of on or so that the then there to was with".split(" "),
)
const stem = (word) => {
  const ending = ENDINGS.find((one) => word.endsWith(one) && word.length >= one.length + 3)
  return ending ? word.slice(0, -ending.length) : word
}
const wordsOf = (text) => {
  const found = text.toLowerCase().match(/[a-z0-9_]+/g) ?? []
  return new Set(found.filter((word) => !COMMON.has(word)).map(stem))
}
const size = (words, weights, rarest) => sum([...words].map((word) => weights.get(word) ?? rarest))

const table = (entries) => {
  if (entries.table) return entries.table
  const byWords = entries.listed.filter(({ told }) => !told.length)
  const titles = byWords.map(({ title, anchor }) => ({ words: title, anchors: [anchor] }))
  const phrases = [...titles, ...entries.phrases].map(({ words, anchors }) => [wordsOf(words), anchors])
  const times = new Map()
  for (const [phrase] of phrases) for (const word of phrase) times.set(word, (times.get(word) ?? 0) + 1)
  const weights = new Map([...times].map(([word, count]) => [word, Math.log(1 + phrases.length / count)]))
  const rarest = [...weights.values()].reduce((one, other) => Math.max(one, other), 0) || 1
  return (entries.table = { phrases, weights, rarest })
}

const ranked = (asked, entries) => {
  const { phrases, weights, rarest } = table(entries)
  const wanted = wordsOf(shortened(asked, ASKED))
  const whole = size(wanted, weights, rarest)
  const best = new Map()
  let turn = 0
  for (const [phrase, anchors] of phrases) {
    const both = [...wanted].filter((word) => phrase.has(word)).map((word) => weights.get(word))
    if (!both.length || (both.length === 1 && wanted.size > 1)) continue // one word of several says nothing
    const alike = Math.round((sum(both) / Math.sqrt(whole * size(phrase, weights, rarest))) * 1e6) / 1e6
    for (const anchor of anchors) {
      if (alike > (best.get(anchor)?.[0] ?? 0)) best.set(anchor, [alike, turn])
      turn++
    }
  }
  return [...best]
    .filter(([, [alike]]) => alike >= POSSIBLE)
    .sort(([, one], [, other]) => other[0] - one[0] || one[1] - other[1])
    .map(([anchor, [alike]]) => [alike, entries.byAnchor.get(anchor)])
}

// matcher.py
const [ENOUGH, SHORT, AMONG] = [20, 20_000, 3]
const found = ({ title, anchor }, { page }) => ({ title, page, anchor })
const distinct = (entries) => [...new Set(entries)].map((entry) => found(entry, entry)).slice(0, AMONG)
const made = (verdict, shown, rest) => ({ verdict, shown, found: [], question: "", also: [], guesses: [], ...rest })

const whole = (one, { listed }) => {
  const fitting = listed.flatMap((entry) =>
    entry.templates
      .filter((each) => isOf(each, one.name) && fits(each, one.message))
      .map(({ weight }) => [weight, entry]),
  )
  const heaviest = Math.max(0, ...fitting.map(([weight]) => weight))
  return [...new Set(fitting.filter(([weight]) => weight === heaviest).map(([, entry]) => entry))]
}
const cut = (one, { listed }) => {
  const isElided = (end) => end.endsWith("...") || end.endsWith("…")
  const ends = one.isLast ? [one.first, one.message] : [one.first]
  const isCut = (each) =>
    isOf(each, one.name) && ends.some((end) => fitsAsFarAs(each, stripEnd(end, ".…"), isElided(end)) >= ENOUGH)
  return listed.filter((entry) => entry.templates.some(isCut))
}
const hitsOf = (every, entries) =>
  every.flatMap((one) => {
    for (const fitting of [whole(one, entries), cut(one, entries)]) {
      const shown = fitting.filter((entry) => isTold(entry, one.around))
      const named = shown.length ? shown : fitting
      if (named.length && named.length <= AMONG) return [{ one, entries: named, isShown: shown.length > 0 }]
    }
    return []
  })
const withoutClass = (text, { listed }) => {
  if (text.length > SHORT) return []
  const small = squeezed(text)
  const stands = ({ parts }) => {
    const longest = parts.reduce((one, other) => (other.length > one.length ? other : one))
    const isPart = small.length >= ENOUGH && longest.includes(small)
    return isPart || (longest.length >= ENOUGH && standsIn(parts, small))
  }
  return listed.filter(({ told, templates }) => !told.length && templates.some(stands))
}
const answered = ({ one: { shown, around }, entries }, others) => {
  const also = distinct(others.flatMap((other) => other.entries).filter((entry) => !entries.includes(entry)))
  if (entries.length > 1) return made("causes", shown, { found: distinct(entries.slice(0, AMONG)), also })
  const [entry] = entries
  if (!entry.causes.length) return made("entry", shown, { found: distinct(entries), also })
  const told = entry.causes.filter((cause) => cause.told.length && isTold(cause, around))
  const ordered = [...told, ...entry.causes.filter((cause) => !told.includes(cause))]
  const likeliest = ordered.slice(0, AMONG).map((cause) => found(cause, entry))
  return made("causes", shown, { found: likeliest, question: entry.question, also })
}
const inWords = (text, entries) => {
  const asked = strip(text, " \n")
  const near = ranked(asked, entries)
  const named = near.slice(0, AMONG).map(([, entry]) => entry)
  if (near.length && near[0][0] >= SURE) {
    return made("entry", shortened(asked, 200), { found: distinct(named.slice(0, 1)), also: distinct(named.slice(1)) })
  }
  return made("unknown", shortened(asked, 200), { guesses: distinct(named) })
}

export const answer = (pasted, entries) => {
  const text = clean(pasted)
  const every = raised(text)
  const errors = every.filter(({ isWarning }) => !isWarning)
  const hits = hitsOf(every, entries)
  const known = hits.filter(({ isShown }) => isShown)
  const ofErrors = known.filter(({ one }) => !one.isWarning)
  const [leading] = ofErrors.length ? ofErrors : errors.length ? [] : known
  if (leading) {
    return answered(
      leading,
      known.filter((hit) => hit !== leading),
    )
  }
  const without = known.length ? [] : withoutClass(text, entries)
  if (without.length && without.length <= AMONG) {
    const line = strip(text, " \n").split("\n").at(-1)
    return answered({ one: { shown: shortened(line, 200), around: squeezed(text) }, entries: without }, [])
  }
  const told = errors.length ? errors : every
  if (told.length) {
    const maybe = hits.filter(({ isShown }) => !isShown).flatMap((hit) => hit.entries)
    const near = maybe.length ? maybe : ranked(told.at(-1).shown, entries).slice(0, 1).map(([, entry]) => entry)
    const also = distinct(known.flatMap((hit) => hit.entries))
    return made("unknown", told.at(-1).shown, { also, guesses: distinct(near) })
  }
  return inWords(text, entries)
}
