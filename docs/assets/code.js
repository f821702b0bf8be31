// Above each block of code: copy it; copy with it all that it goes on from, as one program; wrap its lines. Below that,
// what scrolls sideways.
const Wrap = {
  on: () => document.documentElement.classList.contains("wrap"),
  set(on) {
    document.documentElement.classList.toggle("wrap", on)
    if (on) document.querySelectorAll(".highlight > pre > code").forEach(splitIntoLines)
    for (const button of document.querySelectorAll(".bar__wrap")) button.setAttribute("aria-pressed", on)
  },
}

// Give each line an element of its own, which can hang: tokens that go over several lines are cut.
function splitIntoLines(code) {
  if (code.querySelector(".line")) return
  const lines = [[]]
  for (const node of [...code.childNodes]) {
    const [first, ...others] = node.textContent.split("\n")
    const piece = (text) => Object.assign(node.cloneNode(), { textContent: text })
    lines.at(-1).push(others.length ? piece(first) : node)
    for (const text of others) lines.push([piece(text)])
  }
  const elements = lines.map((parts, number) => {
    const line = document.createElement("span")
    line.className = "line"
    line.append(...parts)
    line.style.setProperty("--indent", `${line.textContent.search(/\S|$/)}ch`)
    if (number < lines.length - 1) line.append("\n")
    return line
  })
  code.replaceChildren(...elements)
}

// Return a block as it is written; the theme's marks are no part of it.
function textOf(block) {
  const code = block.querySelector("code").cloneNode(true)
  code.querySelectorAll(".md-annotation").forEach((mark) => mark.remove())
  return code.textContent.trimEnd()
}

// Return a block that must raise as one after which a program goes on.
function caught(text) {
  const indented = text.replace(/^(?=.)/gm, "    ")
  return `try:\n${indented}\nexcept Exception as error:\n    print(f"{type(error).__name__}: {error}")`
}

// The blocks of a page, or of a docstring on it, go on from each other, except where one starts afresh.
const chains = new Map()
function chainOf(block) {
  const place = block.closest(".doc-contents")
  const chain = block.matches(".fresh") || !chains.has(place) ? [] : chains.get(place)
  chains.set(place, [...chain, block])
  return chain
}

function addBar(block) {
  const runs = block.matches(".language-python") && !block.closest(".mkdocstrings-source, .doc-source")
  const before = runs ? chainOf(block) : []
  const bar = document.createElement("div")
  bar.className = "bar"
  bar.innerHTML = '<button type="button" class="bar__wrap" aria-pressed="false" hidden>Wrap lines</button>'
  const add = (name, label, text) => {
    bar.insertAdjacentHTML("beforeend", `<button type="button" class="${name}" data-clipboard-text>${label}</button>`)
    // The theme copies the attribute, and says so; it is filled before the theme sees the click.
    bar.lastChild.addEventListener("click", ({ target }) => target.setAttribute("data-clipboard-text", text()))
  }
  add("bar__copy", "Copy", () => textOf(block))
  const all = () => [...before.map((one) => (one.matches(".raises") ? caught(textOf(one)) : textOf(one))), textOf(block)]
  if (before.length) add("bar__all", "Copy all up to here", () => all().join("\n\n"))
  bar.firstChild.addEventListener("click", () => {
    Wrap.set(!Wrap.on())
    __md_set("wrap", Wrap.on())
  })
  block.prepend(bar)
}

// What scrolls sideways fades where it goes on, and can be focused, and so scrolled, by keyboard; what does not is no stop
// on the way.
const goesOn = (box) => box.scrollWidth - box.clientWidth - box.scrollLeft > 1
const showFade = (box, faded) => box.toggleAttribute("data-more", faded)
function showScrolling(box, scrolls) {
  const name = box.matches("div") ? "Table" : box.closest(".output") ? "Output" : "Code"
  const attributes = { tabindex: "0", role: "group", "aria-label": `${name}, scrolls sideways` }
  for (const [attribute, value] of Object.entries(attributes)) {
    if (scrolls) box.setAttribute(attribute, value)
    else box.removeAttribute(attribute)
  }
}

// All are measured before one is changed: a change between two makes the browser lay the page out again for each.
const sideways = new ResizeObserver((entries) => {
  const measured = entries.map(({ target }) => [target, target.scrollWidth > target.clientWidth, goesOn(target)])
  for (const [box, scrolls, faded] of measured) {
    showScrolling(box, scrolls)
    showFade(box, faded)
    const block = box.closest(".output")?.previousElementSibling ?? box.closest(".highlight")
    const button = block?.querySelector(".bar__wrap")
    if (button && faded) button.hidden = false
  }
})

for (const block of document.querySelectorAll(".md-content .highlight:has(> pre):not(.output, .doc-signature)")) addBar(block)
for (const code of document.querySelectorAll("pre > code")) {
  sideways.observe(code)
  code.addEventListener("scroll", () => showFade(code, goesOn(code)), { passive: true })
}
addEventListener("load", () => {
  for (const table of document.querySelectorAll(".md-typeset__scrollwrap")) sideways.observe(table) // by the theme
})
try {
  if (__md_get("wrap")) {
    Wrap.set(true)
    for (const button of document.querySelectorAll(".bar__wrap")) button.hidden = false
  }
} catch {
  // this browser keeps nothing
}
