/**
 * The shell blocks of the documents, run as a reader would: in a checkout, or in a CLI that has the published package.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import * as CodeBlocks from "../../scripts/CodeBlocks.ts"
import * as Process from "../fixtures/Process.ts"
import * as Project from "../fixtures/Project.ts"

export const root = Path.resolve(import.meta.dirname, "../..")

/** Lines that are not run, and why. */
const notRun: ReadonlyArray<readonly [line: RegExp, why: string]> = [
  [/^npm (ci|install)\b/, "the tests run in an installed checkout; a test of the package installs it"],
  [/^npm test\b/, "these are the tests"],
  [/^npm run demo\b/, "half a minute of processes that test/acme starts, too"],
  [/^npm run bench\b/, "a quarter of an hour on a quiet machine; test/bench runs its parts"]
]

// They run until the reader ends them.
const server = /\bsink( --)?( --port \d+)?$/

/** What a document's `acme` and `npx effect-cli-usage` are, and where its lines run. */
export interface Workplace {
  /** A copy of the checkout. */
  readonly checkout: string
  /** A project that has the package, with the host of the README. */
  readonly project: string
  readonly env: Readonly<Record<string, string>>
}

const copyCheckout = (folder: string): void => {
  const without = new Set(["node_modules", "dist", ".git", "out"])
  const filter = (from: string) => !without.has(Path.basename(from)) && !Path.basename(from).startsWith(".readme-")
  Fs.cpSync(root, folder, { recursive: true, filter })
  Fs.symlinkSync(Path.join(root, "node_modules"), Path.join(folder, "node_modules"))
}

/** Copies the checkout to a folder that is removed when the scope ends. */
export const makeCheckout: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    const folder = Fs.realpathSync(Fs.mkdtempSync(Path.join(Os.tmpdir(), "checkout-")))
    copyCheckout(folder)
    return folder
  }),
  (folder) => Effect.sync(() => Project.remove(folder))
)

const freePort = Effect.promise(() =>
  new Promise<number>((resolve) => {
    const probe = Net.createServer().listen(0, "127.0.0.1", () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
)

const events = `import { UsageEvent } from "effect-cli-usage"
import * as Schema from "effect/Schema"
export const Deployed = UsageEvent.make("Project deployed", {
  description: "A project was deployed",
  properties: Schema.Struct({ files: Schema.Int })
})
`

/** The first block of a document in a language that contains a text. */
export const blockWith = (file: string, language: string, text: string): CodeBlocks.Block => {
  const block = CodeBlocks.read(root, [file], language).find(({ code }) => code.includes(text))
  if (block === undefined) throw new Error(`${file} has no ${language} block with ${text}`)
  return block
}

export const make = (checkout: string): Effect.Effect<Workplace, never, Scope.Scope> =>
  Effect.gen(function*() {
    const project = yield* Effect.acquireRelease(
      Effect.sync(Project.make),
      (folder) => Effect.sync(() => Project.remove(folder))
    )
    const write = (name: string, text: string, mode = 0o644) => {
      Fs.mkdirSync(Path.dirname(Path.join(project, name)), { recursive: true })
      Fs.writeFileSync(Path.join(project, name), text, { mode })
    }
    const node = JSON.stringify(process.execPath)
    write("acme.ts", blockWith("README.md", "ts", "Command.run(").code)
    write("src/Events.ts", events)
    write("bin/acme", `#!/bin/sh\nexec ${node} ${JSON.stringify(Path.join(project, "acme.ts"))} "$@"\n`, 0o755)
    write("node_modules/.bin/placeholder", "")
    Fs.symlinkSync("../effect-cli-usage/kit/main.js", Path.join(project, "node_modules/.bin/effect-cli-usage"))
    const env = {
      PATH: [Path.join(project, "bin"), Path.dirname(process.execPath), process.env["PATH"]].join(Path.delimiter),
      HOME: project,
      CI: "false",
      ACME_POSTHOG_KEY: "phc_local"
    }
    const kit = Path.join(project, "node_modules/.bin/effect-cli-usage")
    const written = yield* Process.run([process.execPath, kit, "dictionary", "src/Events.ts", "usage-events.json"], {
      cwd: project,
      env
    })
    if (written.code !== 0) throw new Error(written.stderr)
    return { checkout, project, env }
  })

const isOfCheckout = ({ code }: CodeBlocks.Block): boolean => /^(npm run|.*node_modules\/\.bin)/m.test(code)

const withoutComment = (line: string): string => line.replace(/(^|\s+)#.*$/, "").trim()

// Starts a server in a process group of its own, and waits until it listens.
const prelude = (port: number): string =>
  `serve() {
  set -m; "$@" --port ${port} >sink.log 2>&1 & echo $! >>"$SERVERS"; set +m
  until grep -q listening sink.log; do kill -0 $!; sleep 0.1; done
}
set -eE
trap 'echo "failed at $LINENO" >&2' ERR
`

/** The script of a block, line by line. */
const scriptOf = ({ code }: CodeBlocks.Block, port: number): string =>
  code.split("\n").map((line) => {
    const command = withoutComment(line)
    if (notRun.some(([lines]) => lines.test(command))) return ":"
    return server.test(command)
      ? `serve ${command.replace(/ --port \d+$/, "")}`
      : command.replaceAll(":4000", `:${port}`)
  }).join("\n")

/** Runs the shell blocks of a document in their order; what is started in one runs until the scope ends. */
export const run = Effect.fnUntraced(function*(blocks: ReadonlyArray<CodeBlocks.Block>, workplace: Workplace) {
  const { checkout, project } = workplace
  const port = yield* freePort
  const [start = "", script = "", servers = ""] = ["start.sh", "block.sh", "servers"].map((name) =>
    Path.join(project, name)
  )
  Fs.writeFileSync(start, prelude(port))
  Fs.writeFileSync(servers, "")
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const pid of Fs.readFileSync(servers, "utf8").split("\n").filter(Boolean)) {
        process.kill(-Number(pid), "SIGKILL")
      }
    })
  )
  const url = `http://127.0.0.1:${port}`
  const env = { ...workplace.env, ACME_POSTHOG_HOST: url, BASH_ENV: start, SERVERS: servers }
  const findings: Array<CodeBlocks.Finding> = []
  for (const block of blocks) {
    Fs.writeFileSync(script, `${scriptOf(block, port)}\n`)
    const { code, stderr } = yield* Process.run(["bash", script], {
      cwd: isOfCheckout(block) ? checkout : project,
      env
    })
    if (code === 0) continue
    const [, at = "1"] = /failed at (\d+)/.exec(stderr) ?? []
    findings.push({
      file: block.file,
      line: block.line + Number(at) - 1,
      problem:
        `the command ends with ${code}. Correct it, or say in test/docs/ShellBlocks.ts why it is not run.\n${stderr}`
    })
  }
  return { findings, url }
})
