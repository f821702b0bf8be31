// What the tests of every page do in it. It is added to each page, after axe.

// Colours are measured on one of all texts that are alike: they take most of the time, and axe says the same of each.
axe.configure({ rules: [{ id: 'color-contrast', selector: '[data-measured], input, select, textarea' }] })

// The rules that ask for colours, sizes or what can be scrolled.
const OF_A_LOOK = ['color-contrast', 'link-in-text-block', 'scrollable-region-focusable']

window.look = {
  // Open every fold, so that the whole page is in sight.
  reveal() {
    for (const fold of document.querySelectorAll('details')) fold.open = true
  },

  // Press the buttons of some blocks of Python, and return what the clipboard holds then; null for a block out of sight.
  // A page may copy for five seconds after it was asked to from outside, so that few are pressed at a time.
  async copied(first, count) {
    const texts = []
    for (const block of blocks().slice(first, first + count)) {
      if (inSight(block)) {
        await navigator.clipboard.writeText('what was there before')
        press(buttonOf(block))
        texts.push(await navigator.clipboard.readText())
      } else {
        texts.push(null)
      }
    }
    return texts
  },

  // Return what "Copy all up to here" would copy for each block of Python; null where there is nothing above to copy.
  // That the clipboard gets it is seen where one is pasted.
  programs() {
    return blocks().map((block) => {
      const button = block.querySelector('.bar__all')
      button?.click()
      return button?.getAttribute('data-clipboard-text') ?? null
    })
  },

  // Axe takes minutes for what is alike: it sees two topics of claims, and each kind of token in code once a page.
  thin() {
    document.querySelectorAll('.claims tbody:nth-of-type(n+3)').forEach((topic) => topic.remove())
    const seen = new Set()
    for (const token of document.querySelectorAll('.highlight code span')) {
      if (seen.has(token.className)) token.replaceWith(...token.childNodes)
      else seen.add(token.className)
    }
  },

  // Return how many pixels a page is wider than its window.
  wider() {
    return document.documentElement.scrollWidth - window.innerWidth
  },

  // Return what axe finds wrong with a page as it is now: each rule with the first of its places. What a look cannot
  // change, such as names, roles and their order, needs to be asked in one look only.
  async faults({ ofTheLookAlone = false } = {}) {
    for (const animation of document.getAnimations()) animation.finish() // a colour on its way is none to measure
    for (const old of document.querySelectorAll('[data-measured]')) delete old.dataset.measured
    for (const element of unlike(textsInSight())) element.dataset.measured = ''
    const chosen = ofTheLookAlone ? { runOnly: OF_A_LOOK } : {}
    const { violations } = await axe.run({ resultTypes: ['violations'], ...chosen })
    return violations.map(({ id, nodes }) => `${id}: ${nodes.length} times, first ${nodes[0].html}`)
  },
}

function blocks() {
  return [...document.querySelectorAll('.language-python.highlight:has(> .bar)')]
}

function inSight(element) {
  return element.checkVisibility()
}

function buttonOf(block) {
  return block.querySelector('.bar__copy')
}

// Click a button where a mouse would meet it, which may be on what covers it.
function press(button) {
  button.scrollIntoView({ block: 'center' })
  const { x, y, width, height } = button.getBoundingClientRect()
  document.elementFromPoint(x + width / 2, y + height / 2).dispatchEvent(new MouseEvent('click', { bubbles: true }))
}

function textsInSight() {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  const elements = new Set()
  while (texts.nextNode()) {
    if (texts.currentNode.data.trim()) elements.add(texts.currentNode.parentElement)
  }
  return [...elements].filter(inSight)
}

// Return the first of all elements that agree in all that their contrast, and the contrast they need, depend on.
function unlike(elements) {
  const first = new Map()
  for (const element of elements) {
    const { color, fontSize, fontWeight, textShadow } = getComputedStyle(element)
    const large = parseFloat(fontSize) >= (fontWeight >= 700 ? 18.66 : 24) // pixels, as WCAG has it
    const kind = [color, large, textShadow, ...grounds(element)].join()
    if (!first.has(kind)) first.set(kind, element)
  }
  return first.values()
}

// Yield what lies behind an element, as far as it can be seen.
function* grounds(element) {
  for (; element; element = element.parentElement) {
    const { backgroundColor, backgroundImage, opacity, filter, mixBlendMode } = getComputedStyle(element)
    const ground = [backgroundColor, backgroundImage, opacity, filter, mixBlendMode].join()
    if (ground !== 'rgba(0, 0, 0, 0),none,1,none,normal') yield ground
  }
}
