// The answer to a paste as a page shows it: in the box "Paste your error", and above what the search finds.
import { answer, parsed } from "./matcher.js"

const place = ({ page, anchor }) => new URL(`../pitfalls/${page}/#${anchor}`, import.meta.url).href

const made = (name, attributes, ...children) => {
  const element = document.createElement(name)
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value)
  element.append(...children)
  return element
}
const rich = (markdown) => markdown.split("`").map((part, place) => (place % 2 ? made("code", {}, part) : part))
const link = (found) => made("a", { href: place(found) }, made("span", {}, found.title))
const list = (places) => made("ul", {}, ...places.map((found) => made("li", {}, link(found))))
const named = (words, places) => (places.length ? [made("p", {}, words), list(places)] : [])

const told = ({ verdict, shown, found, question, also, guesses }) => {
  const line = made("code", {}, shown)
  const more = named("There is more in what you pasted:", also)
  if (verdict === "entry") return [made("p", {}, "This is explained: ", made("strong", {}, link(found[0]))), ...more]
  if (verdict === "causes") {
    return [made("p", {}, line, " has several causes. ", ...rich(question || "Which of these is yours?")), list(found), ...more]
  }
  return [
    made("p", {}, "Not known here: ", line),
    ...named("A guess, and no answer, is what is nearest:", guesses),
    ...named("What else it shows is known:", also),
  ]
}

// Fetch the entries, and return what answers a paste: whether it is known, and the elements that say what it is.
export const explainer = async () => {
  const data = await fetch(new URL("../pitfalls/answers.json", import.meta.url))
  const entries = parsed(await data.json())
  return (pasted) => {
    const given = answer(pasted, entries)
    return { isKnown: given.verdict !== "unknown", elements: told(given) }
  }
}
