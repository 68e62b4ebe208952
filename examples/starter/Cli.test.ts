import * as NodeServices from "@effect/platform-node/NodeServices"
import { it } from "@effect/vitest"
import { TestUsage } from "effect-cli-usage/testing"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { cli } from "./Cli.ts"

const create = Command.runWith(cli, { version: "1.0.0" })(["create", "shop", "--template", "blog"])

it.effect("A new project is recorded with its template", () =>
  Effect.gen(function*() {
    yield* create
    const recorded = yield* TestUsage.recorded
    TestUsage.assertEvents(recorded, ["Project created", "CLI execution succeeded"])
    TestUsage.assertEvent(recorded, { command: "create", properties: { template: "blog" } })
    TestUsage.assertEvent(recorded, { properties: { flags_used: ["template"], exit_code: 0 } })
  }).pipe(Effect.provide([TestUsage.layer(), NodeServices.layer])))

it.effect("Nothing is recorded of a user who has opted out", () =>
  Effect.gen(function*() {
    yield* create
    TestUsage.assertEvents(yield* TestUsage.recorded, [])
  }).pipe(Effect.provide([TestUsage.layer(TestUsage.optedOut), NodeServices.layer])))
