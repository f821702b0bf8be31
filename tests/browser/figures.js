// What the tests of the figures ask of a page. It is added to the page.

window.figures = {
  // Return each text of each figure: its size as it is shown, its contrast with what lies behind it, whether all of it
  // is within the figure and within the boxes whose ground it stands on, and the texts that it lies on.
  texts() {
    return [...document.querySelectorAll('.drawing svg')].flatMap((svg) => {
      const texts = [...svg.querySelectorAll('text')]
      return texts.map((text) => ({
        figure: svg.querySelector('title').textContent,
        text: text.textContent,
        size: parseFloat(getComputedStyle(text).fontSize) * svg.getScreenCTM().a,
        contrast: contrast(rgb(getComputedStyle(text).fill), ground(text, svg)),
        within: [svg, ...behind(text, svg)].every((one) => contains(place(one), place(text))),
        over: texts.filter((other) => other !== text && overlap(place(other), place(text))).map((one) => one.textContent),
      }))
    })
  },
}

function place(element) {
  return element.getBoundingClientRect()
}

function contains(outer, inner) {
  return (
    outer.left <= inner.left && inner.right <= outer.right && outer.top <= inner.top && inner.bottom <= outer.bottom
  )
}

function overlap(one, other) {
  return one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom
}

// Return the boxes in which the middle of a text lies, the last of them on top.
function behind(text, svg) {
  const { left, right, top, bottom } = place(text)
  const x = (left + right) / 2
  const y = (top + bottom) / 2
  return [...svg.querySelectorAll('rect')].filter((box) => contains(place(box), { left: x, right: x, top: y, bottom: y }))
}

function ground(text, svg) {
  const fills = behind(text, svg).map((box) => getComputedStyle(box).fill)
  const fill = fills.filter((one) => one !== 'none').at(-1)
  return rgb(fill ?? getComputedStyle(document.body).backgroundColor)
}

// Return a colour, however it is written, as red, green and blue.
function rgb(colour) {
  const canvas = document.createElement('canvas').getContext('2d')
  canvas.fillStyle = colour
  canvas.fillRect(0, 0, 1, 1)
  return [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)]
}

// The contrast of two colours, as WCAG defines it.
function contrast(one, other) {
  const [darker, lighter] = [one, other].map(luminance).sort((a, b) => a - b)
  return (lighter + 0.05) / (darker + 0.05)
}

function luminance(colour) {
  const [red, green, blue] = colour
    .map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}
