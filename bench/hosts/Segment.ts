/**
 * Segment's client in the host's own process, closed and flushed at the end.
 */
import { Analytics } from "@segment/analytics-node"
import * as Effect from "effect/Effect"
import { atEnd, event, posthog } from "./Host.ts"

export { Flow, HttpPrincipalResolver, IdentityStitch, ObservedHttpClient } from "./Host.ts"

export const Usage = atEnd(Effect.promise(async () => {
  const { host, key } = posthog()
  const client = new Analytics({ writeKey: key, host, path: "/batch/" })
  const { distinctId, name, properties } = event()
  client.track({ anonymousId: distinctId, event: name, properties })
  await client.closeAndFlush()
}))
