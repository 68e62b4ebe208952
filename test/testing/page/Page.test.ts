/**
 * The page of the sink in a browser.
 */
import { assert, describe, it } from "@effect/vitest"
import Axe from "axe-core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Browser, BrowserContextOptions, Page } from "playwright-core"
import { afterAll, beforeAll } from "vitest"
import { find, launch } from "../../../scripts/Browser.ts"
import type { Received } from "../../../src/testing/page/Model.ts"
import type { PostHogSink } from "../../../src/testing/PostHogSink.ts"
import { makeSink } from "../../fixtures/Wait.ts"
import { body, post } from "../Requests.ts"
import { anon, anonymous, message, refused, story } from "./Messages.ts"

const executable = find()

let browser: Browser | undefined

const send = (sink: PostHogSink, messages: ReadonlyArray<Received>) =>
  Effect.runPromise(post(
    sink,
    body(...messages.map(({ distinct_id, event, properties, timestamp, uuid }) => ({
      distinct_id,
      event,
      properties,
      timestamp,
      uuid
    })))
  ))

interface Opened {
  readonly page: Page
  readonly sink: PostHogSink
  /** The addresses that the page asked for. */
  readonly requests: ReadonlyArray<string>
  /** What the browser has to say against it. */
  readonly errors: Array<string>
}

/** A test with a sink and its page, which must make no mistake and ask nobody else. */
const test = (
  title: string,
  run: (opened: Opened) => Promise<void>,
  { messages = story(), ...options }: BrowserContextOptions & { readonly messages?: ReadonlyArray<Received> } = {}
) =>
  it.live(title, () =>
    Effect.gen(function*() {
      const sink = yield* makeSink()
      yield* Effect.promise(async () => {
        const context = await browser?.newContext({ viewport: { width: 1280, height: 720 }, ...options })
        const page = await context?.newPage() ?? assert.fail("no browser")
        page.setDefaultTimeout(60_000)
        const requests: Array<string> = []
        const errors: Array<string> = []
        page.on("request", (request) => requests.push(request.url()))
        page.on("pageerror", ({ message }) => errors.push(message))
        page.on("console", (message) => message.type() === "error" && errors.push(message.text()))
        page.on("dialog", () => errors.push("a dialog"))
        if (messages.length > 0) await send(sink, messages)
        await page.goto(sink.url)
        await page.getByText("Live").waitFor()
        if (messages.length > 0) await page.getByRole("option").first().waitFor()
        await run({ page, sink, requests, errors })
        assert.deepStrictEqual(requests.filter((url) => !url.startsWith(`${sink.url}/`)), [])
        assert.deepStrictEqual(errors, [])
        await context?.close()
      })
    }))

const tabs = ["Messages", "Timeline", "Persons", "Warnings"]
const tab = (page: Page, name: string) => page.getByRole("tab", { name })
const list = (page: Page, name: string) => page.getByRole("listbox", { name })
const rows = (page: Page) => list(page, "Messages").getByRole("option")
const field = (page: Page, name: string) => page.getByRole("combobox", { name })
const count = (page: Page): Promise<number> => page.evaluate("document.querySelectorAll('*').length")
const focused = (page: Page): Promise<string> => page.evaluate("document.activeElement.id")

/** The row that a screen reader says. */
const activeText = "document.getElementById(document.activeElement.getAttribute('aria-activedescendant')).innerText"

const findings = async (page: Page): Promise<ReadonlyArray<string>> => {
  await page.evaluate(Axe.source)
  const { violations }: Axe.AxeResults = await page.evaluate("axe.run()")
  return violations.map(({ help, id, impact, nodes }) =>
    `${impact} ${id}: ${help}: ${nodes.map(({ html }) => html).join()}`
  )
}

if (executable === undefined) {
  it("Without chromium on the path, only the model of the page and what is served are tested", () => {
    assert.isUndefined(find())
  })
} else {
  beforeAll(async () => {
    browser = await launch(executable)
  })
  afterAll(() => browser?.close())

  describe.concurrent("the page", () => {
    test("A message appears without a reload, with its person, command, flow and sequence", async ({ page, sink }) => {
      await page.getByRole("heading", { name: "No messages yet" }).waitFor()
      await page.getByText(`ACME_POSTHOG_HOST=${sink.url} `).waitFor()
      await page.evaluate("window.isSame = true")
      await send(sink, story().slice(0, 5))
      await page.getByRole("option", { name: "CLI Auth Completed" }).waitFor()
      assert.deepStrictEqual(
        (await rows(page).allInnerTexts()).map((text) => text.split(/\s*\n\s*/).slice(1).join("|")),
        [
          "CLI Auth Completed|person|account_1|command|login|flow|login · code_exchange|sequence|2",
          "$create_alias|merge|person|account_1|command|login|sequence|1",
          "CLI Auth Started|person|account_1|command|login|flow|login|sequence|0",
          "ran|person|account_1|command|build|sequence|0",
          "ran|person|account_1|command|deploy|sequence|0"
        ]
      )
      assert.isTrue(await page.evaluate("window.isSame"))
      assert.strictEqual(await page.title(), "Sink: 5 messages")
    }, { messages: [] })

    test(
      "A merge is shown on the timeline of its device and with the person that it made",
      async ({ page, sink }) => {
        await tab(page, "Timeline").click()
        await list(page, "Devices").getByRole("option", { name: "aaaaaaaa… →" }).waitFor({ state: "detached" })
        await send(sink, story().slice(3))
        await list(page, "Devices").getByRole("option", { name: "aaaaaaaa… → account_1" }).click()
        const lines = list(page, "Timeline").getByRole("option")
        await lines.filter({ hasText: "aaaaaaaa… is account_1" }).waitFor()
        const texts = (await lines.allInnerTexts()).map((text) => text.split("\n")[0])
        assert.deepStrictEqual([texts[0], texts[4]], ["Anonymous, as aaaaaaaa…", "merge aaaaaaaa… is account_1"])
        await page.getByText("3 messages sent before as aaaaaaaa… are account_1’s too.").waitFor()
        await tab(page, "Persons").click()
        await list(page, "Persons").getByRole("option", { name: "account_1" }).click()
        const person = page.getByRole("region", { name: "Person" })
        await person.getByText(anon, { exact: true }).waitFor()
        await person.getByText("Neither account_1 nor aaaaaaaa… had a person.").waitFor()
        await person.getByRole("button", { name: "$create_alias" }).click()
        await page.getByRole("complementary").getByText(`"alias": "${anon}"`).waitFor()
      },
      { messages: story().slice(0, 3) }
    )

    test("A warning is shown in plain words with what to do, and leads to its message", async ({ page, sink }) => {
      await tab(page, "Warnings").click()
      await page.getByText("Nothing is wrong").waitFor()
      await send(sink, refused())
      for (const title of ["A merge that PostHog refused", "An id that PostHog never merges"]) {
        const warning = page.getByRole("article").filter({ has: page.getByRole("heading", { name: title }) })
        assert.match(await warning.innerText(), /What to do: \S/)
      }
      const dropped = page.getByRole("article").filter({
        hasText: "invalid_event_when_process_person_profile_is_false"
      })
      assert.include(await dropped.innerText(), "Leave “$process_person_profile” out")
      await dropped.getByRole("button").click()
      await page.getByRole("complementary").getByText("none: PostHog dropped it").waitFor()
      await page.getByRole("complementary").getByRole("heading", { name: "A merge that PostHog dropped" }).waitFor()
    })

    test(
      "Of ten thousand messages a window of rows is in the document, and each message can be reached",
      async ({ page }) => {
        await rows(page).first().and(page.locator("[aria-setsize='10000']")).waitFor()
        const before = await count(page)
        assert.isBelow(before, 1000)
        await list(page, "Messages").focus()
        await page.keyboard.press("End")
        await page.getByRole("option", { name: "event 0 person" }).waitFor()
        assert.isBelow(await rows(page).count(), 60)
        await page.evaluate("document.querySelector('#message-list').scrollTo(0, 0)")
        await page.getByRole("option", { name: "event 9999 person" }).waitFor()
        assert.include(await page.evaluate(activeText), "event 0")
        await field(page, "Event").fill("event 4321")
        await page.getByText("1 of 10,000 messages").waitFor()
        assert.strictEqual(await rows(page).count(), 1)
        for (const name of tabs.slice(1)) await tab(page, name).click()
        assert.isBelow(await count(page), 1500)
      },
      { messages: Array.from({ length: 10_000 }, (_, n) => anonymous(`event ${n}`, `id ${n % 5000}`)) }
    )

    test("New messages leave what is in view where it is", async ({ page, sink }) => {
      await page.evaluate("document.querySelector('#message-list').scrollTo(0, 1000)")
      const row = page.getByRole("option", { name: "event 170 person" })
      const { y } = await row.boundingBox() ?? assert.fail("the row is not there")
      await send(sink, [message("new", "user")])
      await row.and(page.locator("[aria-setsize='201']")).waitFor()
      assert.closeTo((await row.boundingBox())?.y ?? 0, y, 1)
    }, { messages: Array.from({ length: 200 }, (_, n) => message(`event ${n}`, "user")) })

    test("Pause keeps what is shown, and clear empties the sink and each page", async ({ page, sink }) => {
      await page.getByRole("button", { name: "Pause" }).click()
      await page.getByText("Paused").waitFor()
      await send(sink, [message("while it was paused", "user")])
      const resume = page.getByRole("button", { name: "Resume (1 new)" })
      await resume.waitFor()
      assert.strictEqual(await rows(page).count(), 8)
      await resume.click()
      await page.getByRole("option", { name: "while it was paused" }).waitFor()
      await page.getByRole("button", { name: "Clear" }).click()
      await page.getByRole("heading", { name: "No messages yet" }).waitFor()
      assert.deepStrictEqual(await Effect.runPromise(sink.messages), [])
    })

    test("The filter selects by event, person and command, shows the count of matches, and can be removed", async ({ page }) => {
      await field(page, "Event").fill("auth")
      await page.getByText("2 of 8 messages").waitFor()
      await field(page, "Event").fill("")
      await field(page, "Person").fill("bbbb")
      await page.getByText("1 of 8 messages").waitFor()
      await field(page, "Command").fill("login")
      await page.getByText("No message matches.").waitFor()
      await page.getByRole("button", { name: "Show all" }).click()
      await rows(page).nth(7).waitFor()
    })

    test("The keyboard alone goes from tab to tab, through the messages, into one and back to its row", async ({ page }) => {
      await tab(page, "Messages").focus()
      await page.keyboard.press("ArrowLeft")
      await page.locator("#tab-warnings[aria-selected=true]").waitFor()
      assert.strictEqual(await focused(page), "tab-warnings")
      await page.keyboard.press("ArrowRight")
      await page.locator("#tab-messages[aria-selected=true]").waitFor()
      await rows(page).first().waitFor()
      for (const id of ["event", "person", "command", "message-list"]) {
        await page.keyboard.press("Tab")
        await page.locator(`[name=${id}]:focus, #${id}:focus`).waitFor()
      }
      await page.keyboard.press("ArrowDown")
      await page.keyboard.press("ArrowDown")
      assert.include(await page.evaluate(activeText), "whoami")
      await page.keyboard.press("Enter")
      await page.locator("#message-detail h2:focus").waitFor()
      await page.keyboard.press("Escape")
      await page.locator("#message-list:focus").waitFor()
      assert.include(await page.evaluate(activeText), "whoami")
      await page.getByRole("complementary").waitFor({ state: "hidden" })
    })

    test("The page shows what arrives as text, also if it looks like HTML", async ({ page }) => {
      const row = rows(page).first()
      assert.include(await row.innerText(), "<script>window.isHacked = 1</script>")
      await row.click()
      const detail = page.getByRole("complementary")
      await detail.getByText("\"<img src=x onerror=alert(1)>\"").waitFor()
      for (const name of tabs) await tab(page, name).click()
      assert.deepStrictEqual(
        await page.evaluate("[window.isHacked ?? null, document.scripts.length, document.images.length]"),
        [null, 1, 0]
      )
    }, {
      messages: [message("<script>window.isHacked = 1</script>", "<b>user</b>", {
        command_name: "<i>deploy</i>",
        html: "<img src=x onerror=alert(1)>",
        $set: { "<u>": "\u202e" }
      })]
    })

    test("The page requests its own parts and the API, and the browser blocks every other request", async ({ errors, page, requests, sink }) => {
      const other = await Effect.runPromise(Effect.scoped(Effect.map(makeSink(), ({ url }) => url)))
      assert.deepStrictEqual(
        // The icon is asked for when the browser likes.
        requests.map((url) => url.replace(sink.url, "")).filter((path) => path !== "/page.svg").toSorted(),
        ["/", "/api/events", "/page.css", "/page.js"]
      )
      // A policy that does not hold would fail it in another way: nothing listens there.
      const why = await page.evaluate(`new Promise((resolve) => {
        document.addEventListener("securitypolicyviolation", ({ blockedURI }) => resolve(blockedURI))
        window.fetch("${other}").catch(() => {})
      })`)
      assert.strictEqual(why, `${other}/`)
      assert.match(errors.splice(0).join(), /Content Security Policy/)
    })

    it.live("The page says that the sink has stopped, and goes on when it is there again", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const sink = yield* Scope.provide(makeSink(), scope)
        yield* Effect.promise(async () => {
          const page = await browser?.newPage() ?? assert.fail("no browser")
          page.setDefaultTimeout(60_000)
          await send(sink, story())
          await page.goto(sink.url)
          await rows(page).nth(7).waitFor()
          await Effect.runPromise(Scope.close(scope, Exit.void))
          await page.getByText("The sink has stopped.").waitFor()
          assert.strictEqual(await rows(page).count(), 8)
          await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
            const again = yield* makeSink({ port: Number(new URL(sink.url).port) })
            yield* Effect.promise(async () => {
              await send(again, [message("again", "user")])
              await page.getByRole("option", { name: "again" }).waitFor()
              assert.strictEqual(await rows(page).count(), 1)
            })
          })))
          await page.close()
        })
      }))

    for (const colorScheme of ["light", "dark"] as const) {
      for (const width of [1280, 360]) {
        const title = `axe finds nothing on the ${colorScheme} page at ${width} px, and no tab is wider than that`
        test(title, async ({ page, sink }) => {
          const check = async () => {
            assert.deepStrictEqual(await findings(page), [])
            assert.isAtMost(await page.evaluate("document.documentElement.scrollWidth"), width)
            assert.strictEqual(await page.evaluate("document.body.scrollWidth - document.body.clientWidth"), 0)
          }
          await check()
          await send(sink, [...story(), ...refused()])
          await rows(page).first().click()
          await page.getByRole("complementary").waitFor()
          await check()
          await page.keyboard.press("Escape")
          for (const name of tabs) {
            await tab(page, name).click()
            await check()
            const panel = page.getByRole("tabpanel")
            if (name === "Warnings" || name === "Messages") continue
            await panel.getByRole("option", { name: "account_1" }).first().click()
            await panel.getByRole("heading", { name: "account_1" }).first().waitFor()
            await check()
          }
        }, { colorScheme, viewport: { width, height: 720 }, messages: [] })
      }
    }
  })
}
