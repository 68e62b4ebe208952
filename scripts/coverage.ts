/**
 * `npm run coverage`, after `npm test -- --coverage`: whether docs/coverage.md names each file of `src` with a line that
 * no test reaches in its own process.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { enforce, type Rule } from "./Rule.ts"

const root = Path.resolve(import.meta.dirname, "..")
const document = "docs/coverage.md"

const named: Rule = {
  name: `${document} names each file of src with a line that no test reaches in its own process`,
  why: "a line that no test reaches is either tested elsewhere, or may break unseen",
  fix: `write a test, or name the file in ${document} with the reason`
}

const existing: Rule = {
  name: `${document} names only files that exist`,
  why: "a reason for a file that is gone excuses nothing",
  fix: `remove the file from ${document}, or write its new name`
}

interface Lines {
  readonly total: number
  readonly covered: number
}

const summary: Readonly<Record<string, { readonly lines: Lines }>> = JSON.parse(
  Fs.readFileSync(Path.join(root, ".cache/coverage/coverage-summary.json"), "utf8")
)
const names = new Set(Fs.readFileSync(Path.join(root, document), "utf8").match(/\bsrc\/[\w/]+\.ts\b/g))

const uncovered = Object.entries(summary)
  .filter(([file, { lines }]) => file !== "total" && lines.covered < lines.total)
  .map(([file]) => Path.relative(root, file).replaceAll(Path.sep, "/"))

enforce([
  [named, uncovered.filter((file) => !names.has(file))],
  [existing, [...names].filter((file) => !Fs.existsSync(Path.join(root, file)))]
])
