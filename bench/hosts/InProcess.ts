/**
 * posthog-node in the host's own process, as its documentation has it for a short-lived one: `shutdown` at the end.
 */
import * as Effect from "effect/Effect"
import { PostHog } from "posthog-node"
import { atEnd, event, posthog } from "./Host.ts"

export { Flow, HttpPrincipalResolver, IdentityStitch, ObservedHttpClient } from "./Host.ts"

export const Usage = atEnd(Effect.promise(async () => {
  const { host, key } = posthog()
  const client = new PostHog(key, { host, isServer: false })
  const { distinctId, name, properties } = event()
  client.capture({ distinctId, event: name, properties })
  await client.shutdown()
}))
