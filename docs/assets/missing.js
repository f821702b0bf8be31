// Which page was meant? The one whose address differs from this one by the fewest letters.
const place = document.querySelector(".missing")

// How many letters have to be put in, taken out or changed to make one word of the other.
const distance = (one, other) => {
  let row = [...Array(other.length + 1).keys()]
  for (let i = 1; i <= one.length; i++) {
    const next = [i]
    for (let j = 1; j <= other.length; j++) {
      const changed = row[j - 1] + (one[i - 1] !== other[j - 1])
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, changed))
    }
    row = next
  }
  return row.at(-1)
}

const slug = (path) => path.replace(/index\.html$|\.html$|\.md$/, "").split("/").filter(Boolean).at(-1) ?? ""

// Pages are told apart by their last word first: who guesses a folder wrong has the word right.
const nearest = (paths, wanted) => {
  const unlike = (path) => distance(slug(path), slug(wanted)) + distance(path, wanted) / 100
  return paths.map((path) => [unlike(path), path]).sort(([one], [other]) => one - other)[0]
}

const words = slug(location.pathname).replace(/[-_]+/g, " ")
if (words) document.querySelector(".missing__search").search = new URLSearchParams({ q: words })

fetch(place.dataset.pages)
  .then((answer) => answer.text())
  .then((text) => {
    const pages = new DOMParser().parseFromString(text, "text/xml").querySelectorAll("loc")
    const paths = [...pages].map((page) => new URL(page.textContent).pathname)
    const [unlike, path] = nearest(paths, location.pathname)
    if (unlike >= 1 + slug(location.pathname).length / 2) return
    const link = document.createElement("a")
    link.href = path
    link.textContent = path
    place.append("Did you mean ", link, "?")
  })
