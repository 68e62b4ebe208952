/**
 * Lets V8 compile the functions that every command calls as it loads their file.
 *
 * V8 only passes over a function when it loads a file, and reads it again to compile it when it is first called. A function
 * in parentheses it compiles at once, and keeps in a host's compile cache; bundlers leave such parentheses. Which
 * functions these are, V8's coverage of commands of the example host says.
 */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import type { Profiler } from "node:inspector"
import * as Os from "node:os"
import * as Path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

const root = Path.resolve(import.meta.dirname, "..")

// Nothing listens there: no event is sent.
const posthog = { host: "http://127.0.0.1:9", key: "phc_build" }

/** The offsets of functions in a file, as `start-end`. */
type Called = ReadonlyMap<string, ReadonlySet<string>>

/** Runs a command of the example host over a built package; returns the functions of the package that it called. */
const run = (dist: string, home: string, variables: Readonly<Record<string, string>>): Called => {
  const coverage = Path.join(home, "coverage")
  const hooks = pathToFileURL(Path.join(root, "scripts/EagerHooks.ts")).href
  execFileSync(
    process.execPath,
    ["--import", hooks, "examples/acme/main.ts", "deploy", "site"],
    {
      cwd: root,
      // No variable of a CI system or of a user's consent.
      env: {
        HOME: home,
        ACME_HOME: Path.join(home, ".acme"),
        ACME_POSTHOG_HOST: posthog.host,
        ACME_POSTHOG_KEY: posthog.key,
        EAGER_DIST: dist,
        NODE_V8_COVERAGE: coverage,
        ...variables
      },
      stdio: ["ignore", "ignore", "inherit"]
    }
  )
  const called = new Map<string, Set<string>>()
  for (const name of Fs.readdirSync(coverage)) {
    const { result }: Profiler.TakePreciseCoverageReturnType = JSON.parse(
      Fs.readFileSync(Path.join(coverage, name), "utf8")
    )
    for (const { functions, url } of result) {
      if (!url.startsWith(`${pathToFileURL(dist).href}/`)) continue
      const ofFile = functions.flatMap(({ ranges: [all] }) =>
        all === undefined || all.count === 0 ? [] : `${all.startOffset}-${all.endOffset}`
      )
      called.set(fileURLToPath(url), new Set(ofFile))
    }
  }
  Fs.rmSync(coverage, { recursive: true })
  return called
}

/** Puts functions of a text in parentheses: those without a name, which are expressions. */
const parenthesize = (text: string, called: ReadonlySet<string>): string => {
  const parts: Array<{ readonly at: number; readonly text: string }> = []
  for (const range of called) {
    const [start = 0, end = 0] = range.split("-").map(Number)
    if (!/^(async )?(\(|function ?\*? ?\()/.test(text.slice(start, start + 20))) continue
    parts.push({ at: start, text: "(" }, { at: end, text: ")" })
  }
  return parts.toSorted((one, other) => other.at - one.at).reduce(
    (before, part) => before.slice(0, part.at) + part.text + before.slice(part.at),
    text
  )
}

/** Changes the files of a built package. Lines of a source map stay right; columns differ by the parentheses. */
export const makeEager = (built: string): void => {
  const dist = Fs.realpathSync(built)
  const home = Fs.realpathSync(Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-cli-usage-build-")))
  const steadyFile = Path.join(dist, "layers/Steady.js")
  try {
    // The destination is backed off, so that no worker is started.
    const id = createHash("sha256").update(`${posthog.host}\n${posthog.key}`).digest("hex").slice(0, 16)
    const outbox = Path.join(home, ".acme/usage/outbox", id)
    Fs.mkdirSync(outbox, { recursive: true, mode: 0o700 })
    const until = Date.now() + 9 * 60 * 1000
    Fs.writeFileSync(Path.join(outbox, "back-off.json"), JSON.stringify({ attempts: 1, until }), { mode: 0o600 })
    run(dist, home, {})
    const steady = run(dist, home, {})
    const denied = run(dist, home, { DO_NOT_TRACK: "1" })
    if (!steady.has(steadyFile) || steady.has(Path.join(dist, "layers/Cold.js"))) {
      throw new Error("the second command of the example host is not steady: no functions are known to be called")
    }
    for (const [file, called] of steady) {
      // The main file is loaded by a denied command too, which shall not compile what it does not call.
      const both = file === steadyFile ? called : new Set([...called].filter((range) => denied.get(file)?.has(range)))
      Fs.writeFileSync(file, parenthesize(Fs.readFileSync(file, "utf8"), both))
    }
  } finally {
    Fs.rmSync(home, { recursive: true, force: true, maxRetries: 5 })
  }
}
