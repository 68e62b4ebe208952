/**
 * Preloaded (`--import`): writes down which modules the process loads, of files and of Node itself.
 *
 * `BENCH_GRAPH` is the file to write; with `BENCH_SWAP`, that file stands in the place of `effect-cli-usage`.
 */
import { writeFileSync } from "node:fs"
import { registerHooks } from "node:module"

const { BENCH_GRAPH: file = "", BENCH_SWAP: swap } = process.env
const loaded = new Set<string>()

registerHooks({
  resolve: (specifier, context, next) =>
    next(swap !== undefined && specifier === "effect-cli-usage" ? swap : specifier, context),
  load: (url, context, next) => {
    loaded.add(url)
    return next(url, context)
  }
})

// Node's own list also has what is loaded without an import: undici, by a look at `fetch`.
const builtins = (): ReadonlyArray<string> => {
  const list: unknown = Reflect.get(process, "moduleLoadList")
  return Array.isArray(list)
    ? list.filter((name) => typeof name === "string").filter((name) => name.startsWith("NativeModule "))
      .map((name) => name.slice("NativeModule ".length))
    : []
}

process.on("exit", () => writeFileSync(file, JSON.stringify({ files: [...loaded], builtins: builtins() })))
