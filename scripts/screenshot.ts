/**
 * `npm run screenshot`: the real `acme` through a login and a logout, and the page of the sink that shows it, in
 * `docs/images/sink.png`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { PostHogSink } from "effect-cli-usage/testing"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as AcmeApi from "../examples/acme/Server.ts"
import * as Browser from "./Browser.ts"

const root = Path.resolve(import.meta.dirname, "..")
const file = Path.join(root, "docs/images/sink.png")

const story = [
  "deploy shop",
  "deploy shop --region us",
  "login --no-browser --api-key k1",
  "whoami",
  "deploy shop",
  "fail",
  "logout",
  "deploy blog"
]

/** Runs a command in a terminal: elsewhere, a first login joins no device to its account. */
const run = (line: string, env: Readonly<Record<string, string>>) =>
  Effect.callback<void>((resume) => {
    const acme = Path.join(root, "examples/acme/main.ts")
    const words = ["-qec", `${process.execPath} ${acme} ${line}`, "/dev/null"]
    // The command that fails is a part of the story.
    execFile("script", words, { env: { PATH: process.env["PATH"], TERM: "dumb", ...env } }, () => resume(Effect.void))
  })

const program = Effect.gen(function*() {
  const executable = Browser.find()
  if (executable === undefined) return yield* Console.error("There is no chromium on the path.")
  const home = yield* Effect.acquireRelease(
    Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "acme-screenshot-"))),
    (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }))
  )
  const sink = yield* PostHogSink.make()
  const env = {
    HOME: home,
    ACME_HOME: Path.join(home, ".acme"),
    ACME_API_URL: yield* AcmeApi.make(new Map([["k1", "account_1"]])),
    ACME_POSTHOG_HOST: sink.url,
    ACME_POSTHOG_KEY: "phc_local"
  }
  for (const line of story) yield* run(line, env)
  // The login has an alias, a start and an end besides.
  yield* sink.waitFor(({ length }) => length === story.length + 3, "30 seconds")
  const browser = yield* Effect.acquireRelease(
    Effect.promise(() => Browser.launch(executable)),
    (browser) => Effect.promise(() => browser.close())
  )
  yield* Effect.promise(async () => {
    const page = await browser.newPage({ viewport: { width: 1280, height: 620 }, colorScheme: "light" })
    await page.goto(sink.url)
    await page.getByRole("tab", { name: "Timeline" }).click()
    await page.getByRole("listbox", { name: "Devices" }).getByRole("option", { name: "account_1" }).click()
    await page.getByRole("option", { name: "merge" }).last().waitFor()
    await page.mouse.move(0, 0)
    Fs.mkdirSync(Path.dirname(file), { recursive: true })
    await page.screenshot({ path: file })
  })
  yield* Console.log(`${Path.relative(root, file)}: ${Math.round(Fs.statSync(file).size / 1024)} kB`)
})

program.pipe(Effect.scoped, NodeRuntime.runMain)
