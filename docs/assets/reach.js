// The theme opens its menu and its search by labels of hidden boxes, which a keyboard does not reach: here each has a
// button in it that tells whether it is open. Escape closes what is open, and returns to where one was.
{
  const drawer = document.getElementById("__drawer")
  const search = document.getElementById("__search")
  const narrow = matchMedia("(max-width: 76.234375em)") // the navigation is a drawer
  const small = matchMedia("(max-width: 59.984375em)") // the search covers the page
  const menu = document.querySelector(".md-header [for=__drawer]")
  const sidebar = document.querySelector(".md-sidebar--primary")
  const around = ".md-header, .md-tabs, .md-content, .md-sidebar--secondary, .md-footer, [data-md-component=skip]"

  const boxOf = (label) => document.getElementById(label.htmlFor)

  // What is a button in a label: its text, or its sign.
  const faceOf = (label) => {
    const face = label.querySelector("[data-face], .md-ellipsis, .md-nav__icon") ?? document.createElement("span")
    if (!face.parentElement) {
      face.append(...label.childNodes)
      label.append(face)
    }
    face.dataset.face = ""
    return face
  }
  const LABELS = [
    [menu, narrow],
    [document.querySelector(".md-header__button[for=__search]"), small],
    [document.querySelector(".md-search__icon[for=__search]"), small, "Close the search"],
    ...[...document.querySelectorAll(".md-nav--primary .md-nav__link[for]")].map((label) => [label, narrow]),
    ...[...document.querySelectorAll(".md-nav--primary .md-nav__title:not([for=__drawer])")].map((label) => [
      label,
      narrow,
      `Back from ${label.textContent.trim()}`,
    ]),
  ].filter(([label]) => label)

  const tell = () => {
    for (const [label, where, name] of LABELS) {
      const face = faceOf(label)
      const attributes = { role: "button", tabindex: "0", "aria-expanded": boxOf(label).checked }
      if (name ?? label.ariaLabel) attributes["aria-label"] = name ?? label.ariaLabel
      for (const [attribute, value] of Object.entries(attributes)) {
        if (where.matches) face.setAttribute(attribute, value)
        else face.removeAttribute(attribute)
      }
    }
    for (const part of document.querySelectorAll(around)) part.inert = drawer.checked && narrow.matches
  }

  for (const [label] of LABELS) {
    faceOf(label).addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return
      event.preventDefault()
      boxOf(label).click()
    })
    boxOf(label).addEventListener("change", tell)
  }
  narrow.addEventListener("change", tell)
  small.addEventListener("change", tell)
  tell()

  // Where one comes from is where one returns to. A list that opens is entered, and one that closes is left by its opener.
  const within = (box) => [...box.parentElement.querySelectorAll("a[href], [role=button]")].find((one) => one.checkVisibility({ visibilityProperty: true }))
  for (const box of sidebar?.querySelectorAll(".md-nav__toggle") ?? []) {
    box.addEventListener("change", () => {
      if (!narrow.matches) return
      const opener = box.parentElement.querySelector(":scope > label [data-face]")
      const target = box.checked ? within(box.parentElement.querySelector(":scope > .md-nav .md-nav__list") ?? box) : opener
      target?.focus()
    })
  }
  drawer.addEventListener("change", () => {
    if (!narrow.matches) return
    if (drawer.checked) within(sidebar.firstElementChild)?.focus()
    else faceOf(menu).focus()
  })

  let before
  const query = document.querySelector("[data-md-component=search-query]")
  query?.addEventListener("focus", ({ relatedTarget }) => {
    if (!relatedTarget?.closest(".md-search")) before = relatedTarget
  })
  search?.addEventListener("change", () => search.checked && query.focus())
  addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Escape") return
      if (search?.checked) setTimeout(() => before?.focus())
      else if (drawer.checked) drawer.click()
    },
    true,
  )

  // What is copied is said aloud, too.
  document.querySelector(".md-dialog").setAttribute("role", "status")
}
