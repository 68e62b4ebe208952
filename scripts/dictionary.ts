/**
 * `npm run dictionary`: writes acme's data dictionary; with `--check` it only says whether the committed one is stale.
 */
import { DataDictionary } from "effect-cli-usage"
import * as Fs from "node:fs"
import { Auth } from "../examples/acme/Events.ts"

const dictionary = DataDictionary.make(Auth.events)
const texts = {
  "usage-events.md": DataDictionary.toMarkdown(dictionary),
  "usage-events.json": DataDictionary.toJson(dictionary)
}

for (const [name, text] of Object.entries(texts)) {
  const file = new URL(`../examples/acme/${name}`, import.meta.url)
  const isStale = !Fs.existsSync(file) || Fs.readFileSync(file, "utf8") !== text
  if (!process.argv.includes("--check")) Fs.writeFileSync(file, text)
  else if (isStale) {
    console.error(`examples/acme/${name} does not say what acme sends: run \`npm run dictionary\``)
    process.exitCode = 1
  }
}
