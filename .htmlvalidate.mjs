// What html-validate says of the built site: `npx html-validate@10.17.0 "site/**/*.html"` finds nothing.
// Without the two exceptions it has faults to name that are none of the pages here.
export default {
  root: true,
  extends: ["html-validate:standard"],
  // A claim folds what happened in the head of its row. The HTML standard allows <details> there, and so does its
  // validator: it is no sectioning content. html-validate takes it for one.
  elements: ["html5", { details: { inherit: "details", sectioning: false } }],
  rules: {
    // Two checkboxes in the theme's base.html open its drawer and its search, and have `autocomplete="off"`: it keeps
    // Firefox from opening them again when a page is reloaded. A test sees that nothing else on a page has it.
    "valid-autocomplete": "off",
  },
}
