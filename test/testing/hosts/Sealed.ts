/**
 * A test of a host, as a program: prints what was recorded, and how many connections were made.
 */
import * as Effect from "effect/Effect"
import * as DiagnosticsChannel from "node:diagnostics_channel"
import { IdentityStitch, Usage } from "../../../src/index.ts"
import { TestUsage } from "../../../src/testing/index.ts"

let requests = 0
for (const name of ["net.client.socket", "http.client.request.start", "undici:request:create"]) {
  DiagnosticsChannel.subscribe(name, () => requests++)
}

const { events } = await Effect.runPromise(
  Effect.gen(function*() {
    const stitch = yield* IdentityStitch
    yield* stitch.login("account_1")
    yield* Usage.trackEffect("sync")(Effect.void)
    return yield* TestUsage.recorded
  }).pipe(Effect.provide(TestUsage.layer(TestUsage.firstRun)))
)
process.stdout.write(JSON.stringify({
  names: events.map(({ event }) => event),
  ci: events.some(({ common }) => common["is_ci"] === true || "parent_invocation_id" in common),
  requests
}))
