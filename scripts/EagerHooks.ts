/** Lets the example host use a built package, whose folder `EAGER_DIST` names; loaded by `--import`. */
import { registerHooks } from "node:module"
import { pathToFileURL } from "node:url"

const { EAGER_DIST = "" } = process.env
const dist = `${pathToFileURL(EAGER_DIST).href}/`

registerHooks({
  resolve: (specifier, context, next) => {
    if (specifier === "effect-cli-usage") return { url: `${dist}index.js`, shortCircuit: true }
    // There may be no `effect` beside the package.
    const isBare = !/^(\.|\/|node:|file:)/.test(specifier)
    return next(specifier, isBare ? { ...context, parentURL: import.meta.url } : context)
  },
  load: (url, context, next) => {
    const loaded = next(url, context)
    // In a container, no command of a host without a terminal is steady.
    if (url !== `${dist}layers/Steady.js`) return loaded
    return { ...loaded, source: `${loaded.source}\nisInsideContainer = () => false\n` }
  }
})
