// What a reader did on the path: each lesson read to its end, its question guessed, its exercise passed. This browser
// keeps it, and nobody else is told.
{
  const STEPS = ["read", "guessed", "passed"]

  // The theme's own way to what it keeps; where a browser refuses to keep anything, nothing is ticked.
  const kept = () => {
    try {
      return __md_get("path") ?? {}
    } catch {
      return {}
    }
  }

  const placeOf = (url) => {
    const [, folder, slug] = new URL(url).pathname.match(/[/](lessons|exercises)[/]([^/]+)[/]$/) ?? []
    return { folder, slug }
  }

  const note = (slug, step, isDone) => {
    const all = kept()
    const steps = STEPS.filter((one) => (one === step ? isDone : all[slug]?.includes(one)))
    if (steps.join() === (all[slug] ?? []).join()) return
    __md_set("path", { ...all, [slug]: steps })
    show()
  }

  const tick = (link, steps) => {
    link.querySelector(".ticks")?.remove()
    if (!steps.length) return
    const mark = document.createElement("small")
    mark.className = "ticks"
    mark.textContent = `✓ ${steps.join(", ")}`
    ;(link.querySelector(".md-ellipsis") ?? link).append(mark)
  }

  const here = placeOf(location)
  const box = document.querySelector(".passed input")
  // On the page of the path stands how far one has come, and what clears it.
  const summary = document.createElement("p")
  summary.className = "ticked"
  summary.hidden = true
  summary.innerHTML = '<span role="status"></span> <button type="button" class="md-button">Clear my ticks</button>'
  document.getElementById("two-ways-through")?.before(summary)

  const show = () => {
    const all = kept()
    for (const link of document.querySelectorAll(".md-nav--primary a, .md-content td > a, #next + ol a")) {
      const { folder, slug } = placeOf(link.href)
      const steps = all[slug] ?? []
      if (folder && !link.hash) tick(link, folder === "lessons" ? steps : steps.filter((step) => step === "passed"))
    }
    if (box) box.checked = Boolean(all[here.slug]?.includes("passed"))
    const counts = STEPS.map((step) => `${Object.values(all).filter((steps) => steps.includes(step)).length} ${step}`)
    summary.hidden = !Object.values(all).some((steps) => steps.length)
    summary.querySelector("[role=status]").textContent = `Of your lessons: ${counts.join(", ")}.`
  }

  box?.addEventListener("change", () => note(here.slug, "passed", box.checked))
  summary.querySelector("button").addEventListener("click", () => {
    __md_set("path", {})
    show()
  })

  if (here.folder === "lessons") {
    const end = new IntersectionObserver(([entry]) => entry.isIntersecting && note(here.slug, "read", true))
    end.observe(document.getElementById("next"))
    addEventListener("change", ({ target }) => target.name === "guess" && note(here.slug, "guessed", true))
  }
  addEventListener("storage", show) // another window of the site
  addEventListener("pageshow", ({ persisted }) => persisted && show()) // back from the page on which it was ticked
  show()
}
