/**
 * A part of `npm run bump`: the version that changesets wrote into `package.json`, in the other files that have it.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { npm } from "./Packages.ts"

const root = Path.resolve(import.meta.dirname, "..")
const { version } = JSON.parse(Fs.readFileSync(Path.join(root, "package.json"), "utf8"))
const file = Path.join(root, "src/domain/Version.ts")
Fs.writeFileSync(file, Fs.readFileSync(file, "utf8").replace(/"[^"]*"/, JSON.stringify(version)))
npm(root, ["install", "--package-lock-only", "--ignore-scripts"])
